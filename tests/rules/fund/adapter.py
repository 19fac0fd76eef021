"""Turns a case's facts into a call of a rule of the fund, and its result into plain values.

Amounts are yuan as text. Pools are a table `{A = {...}, B = {...}}`; a pool has `opening`,
`premium`, `surcharge`, and `delivery`, `ride`, `freight` as `{orders = 5, spending = "1.00", cases
= 2}`. `pools = "E7"` stands for the three pools of the published example, with orders in millions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from services.fund.domain import equalisation as rules
from services.fund.domain import reserve
from services.fund.domain.cells import (
    Cell,
    Cells,
    add_up,
    cell_costs,
    credibility,
    mean_cost,
    moving,
)
from services.fund.domain.equalisation import PensionBurden, Pool, Transfers
from services.fund.domain.equalisation_rules import EqualisationRules, RiskAdjustment, rules_on
from services.fund.domain.explanations import (
    DEFICIT_PROVISION,
    RISK_PROVISIONS,
    explain,
    explain_burden,
    explain_cost,
    explain_layer,
    explain_transfers,
    explain_true_up,
)
from services.fund.domain.law import LAW
from services.fund.domain.ledger import CELLS, Account
from services.fund.domain.obstacles import CloseReadiness, obstacles
from services.fund.domain.producers import (
    PAYMENT_INSTRUCTED,
    PRODUCERS,
    Deliveries,
    Delivery,
    EndedMonth,
)
from services.fund.domain.reserve import Lender, Year, YearRules
from services.fund.domain.settlement import Books, Total, settle
from services.kernel.law import Finding, Provision
from services.kernel.money import FEN_PER_YUAN, ZERO, Fen
from services.kernel.periods import Month
from services.kernel.scheme import Industry

PROVINCE = "440000"
WORDS = {
    "delivery": Industry.INSTANT_DELIVERY,
    "ride": Industry.RIDE_HAILING,
    "freight": Industry.SAME_CITY_FREIGHT,
}
E7: dict[str, tuple[str, str, tuple[tuple[str, str], ...]]] = {
    "A": ("500000", "3180000", (("40", "2200000"), ("20", "120000"), ("1", "100000"))),
    "B": ("200000", "2410000", (("25", "1500000"), ("30", "210000"), ("2", "260000"))),
    "C": ("100000", "720000", (("6", "780000"), ("3", "60000"), ("1.5", "500000"))),
}

Facts = dict[str, Any]
Answer = dict[str, Any]


def pools_of(facts: Facts) -> list[Pool]:
    if facts["pools"] == "E7":
        return [
            Pool(
                area,
                yuan(opening),
                yuan(premium),
                cells={
                    industry: Cell(int(Fraction(millions) * 1_000_000), yuan(spending))
                    for industry, (millions, spending) in zip(WORDS.values(), cells, strict=True)
                },
            )
            for area, (opening, premium, cells) in E7.items()
        ]
    return [a_pool(area, pool) for area, pool in facts["pools"].items()]


def a_pool(area: str, facts: Mapping[str, Any]) -> Pool:
    return Pool(
        area,
        yuan(facts.get("opening", "0")),
        yuan(facts.get("premium", "0")),
        yuan(facts.get("surcharge", "0")),
        cells={WORDS[word]: a_cell(facts[word]) for word in WORDS if word in facts},
    )


def a_cell(facts: Mapping[str, Any]) -> Cell:
    return Cell(facts.get("orders", 0), yuan(facts.get("spending", "0")), facts.get("cases", 0))


def the_rules(day: date, facts: Facts) -> EqualisationRules:
    changed: dict[str, Any] = {}
    if "risk_adjustment" in facts:
        changed["risk_adjustment"] = RiskAdjustment(facts["risk_adjustment"])
    if "floor" in facts:
        changed["floor"] = yuan(facts["floor"])
    if "prior" in facts:
        changed["prior"] = {
            industry: Fraction(facts["prior"][word]) * FEN_PER_YUAN
            for word, industry in WORDS.items()
        }
    return replace(rules_on(LAW, day, PROVINCE), **changed)


def province_cells(pools: list[Pool]) -> Cells:
    return add_up([pool.cells for pool in pools])


def costs_of(day: date, facts: Facts, pools: list[Pool]) -> dict[Industry, Fraction]:
    return cell_costs(province_cells(pools), the_rules(day, facts).prior)


def answer_of(moved: Transfers, provision: Provision | list[Finding]) -> Answer:
    findings = (
        explain_transfers(moved, provision) if isinstance(provision, Provision) else provision
    )
    answer: Answer = {
        "transfers": {area: amount.yuan for area, amount in moved.amounts.items()},
        "provisions": [str(finding.provision) for finding in findings],
    }
    for area, steps in moved.workings.items():
        for name, value in steps.items():
            amount = "" if name.startswith("factor") else f"{Decimal(value) / 100:,.2f}"
            answer.setdefault(name, {})[area] = amount or value
    return answer


def deficit_compensation(_day: date, facts: Facts) -> Answer:
    floor = yuan(facts.get("floor", "0"))
    pools = pools_of(facts)
    moved = rules.deficit_compensation({p.pooling_area: p.balance - floor for p in pools})
    after = {p.pooling_area: (p.balance + moved.of(p.pooling_area)).yuan for p in pools}
    return {**answer_of(moved, DEFICIT_PROVISION), "balances": after}


def proportional_pooling(day: date, facts: Facts) -> Answer:
    share = Fraction(facts["share"]) if "share" in facts else the_rules(day, facts).pooled_share
    moved = rules.proportional_pooling(
        pools_of(facts), share, by_orders=facts.get("by") == "orders"
    )
    return answer_of(moved, RISK_PROVISIONS[RiskAdjustment.PROPORTIONAL_POOLING])


def need_less_strength(day: date, facts: Facts) -> Answer:
    pools = pools_of(facts)
    costs = costs_of(day, facts, pools)
    answer = answer_of(
        rules.risk_adjustment(pools, costs), RISK_PROVISIONS[RiskAdjustment.NEED_LESS_STRENGTH]
    )
    answer["costs"] = {word: in_yuan(costs[industry]) for word, industry in WORDS.items()}
    answer["mean"] = in_yuan(mean_cost(province_cells(pools)))
    return answer


def swiss(day: date, facts: Facts) -> Answer:
    pools = pools_of(facts)
    return answer_of(
        rules.swiss(pools, costs_of(day, facts, pools)), RISK_PROVISIONS[RiskAdjustment.SWISS]
    )


def dutch(day: date, facts: Facts) -> Answer:
    pools = pools_of(facts)
    rho = Fraction(facts["rho"]) if "rho" in facts else the_rules(day, facts).retrospective_share
    return answer_of(
        rules.dutch(pools, costs_of(day, facts, pools), rho), RISK_PROVISIONS[RiskAdjustment.DUTCH]
    )


def full_pooling(_day: date, facts: Facts) -> Answer:
    return answer_of(
        rules.full_pooling(pools_of(facts)), RISK_PROVISIONS[RiskAdjustment.FULL_POOLING]
    )


def burden_sharing(day: date, facts: Facts) -> Answer:
    shares = LAW.on("burden_sharing", day, PROVINCE)
    pools = [
        PensionBurden(area, yuan(paid), yuan(fixed), yuan(premium))
        for area, (paid, fixed, premium) in facts["pools"].items()
    ]
    own_share = Fraction(facts.get("own_share", shares.value["own_share"]))
    k = Fraction(facts["k"]) if "k" in facts else rules.burden_factor(pools, own_share)
    moved = rules.burden_sharing(pools, k, Fraction(shares.at("by_fixed")))
    return {**answer_of(moved, explain_burden(moved, (shares.version,))), "k": str(k)}


def large_claims(day: date, facts: Facts) -> Answer:
    threshold = LAW.on("large_claim_threshold", day, PROVINCE)
    cases = {area: [yuan(case) for case in costs] for area, costs in facts["cases"].items()}
    moved = rules.large_claim_layer(pools_of(facts), cases, threshold.fen)
    return answer_of(moved, explain_layer(moved, (threshold.version,)))


def true_up(_day: date, facts: Facts) -> Answer:
    def transfers(amounts: Mapping[str, str]) -> Transfers:
        return Transfers({area: yuan(amount) for area, amount in amounts.items()})

    moved = rules.true_up(transfers(facts["year"]), [transfers(month) for month in facts["months"]])
    return answer_of(moved, explain_true_up(moved))


def trust(_day: date, facts: Facts) -> Answer:
    return {"z": f"{float(credibility(facts['cases'], facts['full'])):.6f}"}


def costs(day: date, facts: Facts) -> Answer:
    """Cost of an order after a window of months, with credibility."""
    last, months = Month.of(day), facts["months"]
    by_month = {
        last.plus(1 + index - len(months)): {
            WORDS[word]: a_cell(cell) for word, cell in month.items()
        }
        for index, month in enumerate(months)
    }
    cells = moving(by_month, last, facts.get("window", len(months)))
    prior, full_count = the_rules(day, facts).prior, facts.get("full", 0)
    by_cell = cell_costs(cells, prior, full_count)
    findings = explain_cost(cells, by_cell, prior, full_count)
    return {
        **{word: in_yuan(by_cell[industry]) for word, industry in WORDS.items()},
        "provisions": [str(finding.provision) for finding in findings],
    }


def settlement(day: date, facts: Facts) -> Answer:
    settled = settle(books_of(Month.of(day), pools_of(facts)), the_rules(day, facts), PROVINCE)
    pools = {pool.pooling_area: pool for pool in settled.figures}
    return {
        "risk_adjustment": {area: pool.risk_adjustment.yuan for area, pool in pools.items()},
        "deficit_compensation": {
            area: pool.deficit_compensation.yuan for area, pool in pools.items()
        },
        "closing": {area: pool.closing.yuan for area, pool in pools.items()},
        "provisions": [str(finding.provision) for finding in explain(settled)],
    }


def books_of(month: Month, pools: list[Pool]) -> Books:
    """The totals of a ledger with these pools."""
    totals = []
    for pool in pools:
        premium = pool.premium
        for industry in CELLS:
            cell = pool.cells.get(industry, Cell())
            totals += [
                a_total(pool, Account.PREMIUM_INCOME, industry, -premium, cell.order_count),
                a_total(pool, Account.BENEFIT_EXPENSE, industry, cell.spending, cell.case_count),
            ]
            premium = ZERO
        totals.append(a_total(pool, Account.SURCHARGE_INCOME, None, -pool.surcharge, 0))
    openings = {pool.pooling_area: pool.opening for pool in pools}
    return Books(month, tuple(totals), openings, province_cells(pools))


def a_total(
    pool: Pool, account: Account, industry: Industry | None, amount: Fen, quantity: int
) -> Total:
    return Total(pool.pooling_area, account, industry, amount, quantity, 1, 0)


def year_end(day: date, facts: Facts) -> Answer:
    end = reserve.close_year(
        Year(
            opening=yuan(facts.get("opening", "0")),
            income=yuan(facts["income"]),
            spending=yuan(facts["spending"]),
            reserve=yuan(facts.get("reserve", "0")),
            premium=yuan(facts["premium"] if "premium" in facts else facts["income"]),
            owed=yuan(facts.get("owed", "0")),
            lender=a_lender(facts),
        ),
        year_rules(day),
    )
    return {
        "shortfall": end.shortfall.yuan,
        "reserve_used": end.reserve_used.yuan,
        "loan": end.loan.yuan,
        "uncovered": end.uncovered.yuan,
        "repaid": end.repaid.yuan,
        "overdue": end.overdue.yuan,
        "to_reserve": end.to_reserve.yuan,
        "reserve": end.reserve.yuan,
        "closing": end.closing.yuan,
        "alarm": end.alarm,
        "provisions": [str(finding.provision) for finding in end.findings],
    }


def a_lender(facts: Facts) -> Lender | None:
    if "lender" not in facts:
        return None
    return Lender(yuan(facts["lender"]["balance"]), yuan(facts["lender"]["yearly_spending"]))


def new_loan(_day: date, facts: Facts) -> Answer:
    reserve.require_no_debt(yuan(facts["owed"]))
    return {"allowed": True, "provisions": [str(reserve.LOAN_PROVISION)]}


def hand_up(day: date, facts: Facts) -> Answer:
    handed = reserve.hand_up("440100", yuan(facts["last_years_premium"]), year_rules(day))
    return {"amount": handed.amount.yuan, "provisions": [str(handed.finding.provision)]}


def cover(_day: date, facts: Facts) -> Answer:
    sources = [(name, yuan(amount)) for name, amount in facts["sources"].items()]
    shortfall = yuan(facts["shortfall"])
    parts = reserve.cover(shortfall, sources)
    return {
        **{name: part.yuan for name, part in parts},
        "provisions": [str(reserve.explain_cover(shortfall, parts).provision)],
    }


def prior(day: date, facts: Facts) -> Answer:
    by_cell = the_rules(day, facts).prior
    return {word: in_yuan(by_cell[industry]) for word, industry in WORDS.items()}


def ready(day: date, facts: Facts) -> Answer:
    reasons = obstacles(
        Month.parse(facts["month"]),
        day,
        CloseReadiness(
            deliveries=Deliveries(
                Delivery("e", 0, 0, facts.get("dead_letters", 0)),
                {name: _delivery(name, facts) for name in PRODUCERS},
                {},
            ),
            ended={
                name: EndedMonth(name, Month.parse(facts["month"]), "e", 1, ())
                for name in PRODUCERS
                if name not in facts.get("not_ended", [])
            },
            closed_through=Month.parse(facts.get("closed_through", "2025-01")),
            earlier_open=[Month.parse(text) for text in facts.get("earlier_open", [])],
            posted={PAYMENT_INSTRUCTED: ("benefits", yuan(facts.get("benefits_posted", "0")))},
        ),
    )
    return {
        "obstacles": len(reasons),
        "first": reasons[0].sentence if reasons else "",
        "reasons": [reason.reason for reason in reasons],
    }


def _delivery(name: str, facts: Facts) -> Delivery | None:
    written_count = facts.get("unpublished", {}).get(name, 0)
    return None if name in facts.get("unreachable", []) else Delivery("e", written_count, 0)


def year_rules(day: date) -> YearRules:
    return reserve.year_rules(LAW, day, PROVINCE)


def yuan(text: str) -> Fen:
    return Fen.of_yuan(text.replace(",", ""))


def in_yuan(cost: Fraction) -> str:
    """Fen per order as yuan with eight places, rounded half up."""
    return f"{Decimal(cost.numerator) / cost.denominator / 100:.8f}"


RULES: dict[str, Callable[[date, Facts], Answer]] = {
    "m1": deficit_compensation,
    "m2": proportional_pooling,
    "m3": need_less_strength,
    "m4": burden_sharing,
    "swiss": swiss,
    "dutch": dutch,
    "full_pooling": full_pooling,
    "large_claims": large_claims,
    "true_up": true_up,
    "credibility": trust,
    "cell_costs": costs,
    "settlement": settlement,
    "year_end": year_end,
    "new_loan": new_loan,
    "hand_up": hand_up,
    "cover": cover,
    "prior": prior,
    "ready_to_propose": ready,
}
