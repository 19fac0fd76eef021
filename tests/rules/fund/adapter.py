"""Turns a case's facts into a call of a rule of the fund, and its result into plain values.

Amounts are yuan as text. Pools are a table `{A = {...}, B = {...}}`; a pool has `opening`,
`premium`, `surcharge`, and `delivery`, `ride`, `freight` as `{orders = 5, spending = "1.00", cases
= 2}`. `pools = "E7"` stands for the three pools of the published example: orders in millions A
40/20/1, B 25/30/2, C 6/3/1.5 (delivery, ride, freight); premiums 3,180,000 / 2,410,000 / 720,000;
spending A 2,200,000/120,000/100,000, B 1,500,000/210,000/260,000, C 780,000/60,000/500,000;
openings 500,000 / 200,000 / 100,000.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from services.fund.commands import PARAMETERS
from services.fund.domain import equalisation as rules
from services.fund.domain import reserve
from services.fund.domain.cells import Cell, cell_costs, credibility, moving
from services.fund.domain.equalisation import PensionBurden, Pool, Transfers
from services.fund.domain.explain import (
    DEFICIT_PROVISION,
    RISK_PROVISIONS,
    explain,
    explain_burden,
    explain_cost,
    explain_layer,
    explain_transfers,
    explain_true_up,
)
from services.fund.domain.ledger import CELLS, Account, Industry
from services.fund.domain.obstacles import Readiness, obstacles
from services.fund.domain.reserve import Lender, Year, YearRules
from services.fund.domain.rules import EqualisationRules, rules_on
from services.fund.domain.settlement import Books, Total, settle
from services.kernel.law import Finding, Provision
from services.kernel.money import FEN_PER_YUAN, ZERO, Fen
from services.kernel.periods import Month

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

Given = dict[str, Any]
Answer = dict[str, Any]


def pools_of(given: Given) -> list[Pool]:
    if given["pools"] == "E7":
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
    return [a_pool(area, facts) for area, facts in given["pools"].items()]


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


def the_rules(day: date, given: Given) -> EqualisationRules:
    found = rules_on(PARAMETERS, day, PROVINCE)
    changed: dict[str, Any] = {}
    if "risk_adjustment" in given:
        changed["risk_adjustment"] = given["risk_adjustment"]
    if "floor" in given:
        changed["floor"] = yuan(given["floor"])
    if "prior" in given:
        changed["prior"] = {
            industry: Fraction(given["prior"][word]) * FEN_PER_YUAN
            for word, industry in WORDS.items()
        }
    return replace(found, **changed)


def costs_of(day: date, given: Given, pools: list[Pool]) -> dict[Industry, Fraction]:
    return cell_costs(rules.province_cells(pools), the_rules(day, given).prior)


def told(moved: Transfers, provision: Provision | list[Finding]) -> Answer:
    findings = (
        explain_transfers(moved, provision) if isinstance(provision, Provision) else provision
    )
    answer: Answer = {
        "transfers": {area: amount.yuan for area, amount in moved.amounts.items()},
        "provisions": [str(one.provision) for one in findings],
    }
    for area, steps in moved.workings.items():
        for name, value in steps.items():
            answer.setdefault(name, {})[area] = f"{Decimal(value) / 100:,.2f}"
    return answer


def m1(_day: date, given: Given) -> Answer:
    floor = yuan(given.get("floor", "0"))
    pools = pools_of(given)
    moved = rules.deficit_compensation({p.pooling_area: p.balance - floor for p in pools})
    after = {p.pooling_area: (p.balance + moved.of(p.pooling_area)).yuan for p in pools}
    return {**told(moved, DEFICIT_PROVISION), "balances": after}


def m2(day: date, given: Given) -> Answer:
    share = Fraction(given["share"]) if "share" in given else the_rules(day, given).pooled_share
    moved = rules.proportional_pooling(
        pools_of(given), share, by_orders=given.get("by") == "orders"
    )
    return told(moved, RISK_PROVISIONS["m2"])


def m3(day: date, given: Given) -> Answer:
    pools = pools_of(given)
    costs = costs_of(day, given, pools)
    answer = told(rules.risk_adjustment(pools, costs), RISK_PROVISIONS["m3"])
    answer["costs"] = {word: in_yuan(costs[industry]) for word, industry in WORDS.items()}
    answer["mean"] = in_yuan(rules.province_mean(pools))
    return answer


def swiss(day: date, given: Given) -> Answer:
    pools = pools_of(given)
    return told(rules.swiss(pools, costs_of(day, given, pools)), RISK_PROVISIONS["swiss"])


def dutch(day: date, given: Given) -> Answer:
    pools = pools_of(given)
    rho = Fraction(given["rho"]) if "rho" in given else the_rules(day, given).retrospective_share
    return told(rules.dutch(pools, costs_of(day, given, pools), rho), RISK_PROVISIONS["dutch"])


def full(_day: date, given: Given) -> Answer:
    return told(rules.full_pooling(pools_of(given)), RISK_PROVISIONS["full"])


def m4(day: date, given: Given) -> Answer:
    shares = PARAMETERS["burden_sharing"].on(day, PROVINCE)
    pools = [
        PensionBurden(area, yuan(paid), yuan(fixed), yuan(premium))
        for area, (paid, fixed, premium) in given["pools"].items()
    ]
    own_share = Fraction(given.get("own_share", shares.value["own_share"]))
    k = Fraction(given["k"]) if "k" in given else rules.burden_factor(pools, own_share)
    moved = rules.burden_sharing(pools, k, Fraction(shares.at("by_fixed")))
    return {**told(moved, explain_burden(moved, (shares.version,))), "k": str(k)}


def large_claims(day: date, given: Given) -> Answer:
    threshold = PARAMETERS["large_claim_threshold"].on(day, PROVINCE)
    cases = {area: [yuan(case) for case in costs] for area, costs in given["cases"].items()}
    moved = rules.large_claim_layer(pools_of(given), cases, threshold.fen)
    return told(moved, explain_layer(moved, (threshold.version,)))


def true_up(_day: date, given: Given) -> Answer:
    def transfers(amounts: Mapping[str, str]) -> Transfers:
        return Transfers({area: yuan(amount) for area, amount in amounts.items()})

    moved = rules.true_up(transfers(given["year"]), [transfers(one) for one in given["months"]])
    return told(moved, explain_true_up(moved))


def trust(_day: date, given: Given) -> Answer:
    return {"z": f"{float(credibility(given['cases'], given['full'])):.6f}"}


def costs(day: date, given: Given) -> Answer:
    """Cost of an order after a window of months, with credibility."""
    months = [
        {WORDS[word]: a_cell(facts) for word, facts in month.items()} for month in given["months"]
    ]
    cells = moving(months, given.get("window", len(months)))
    prior, full_count = the_rules(day, given).prior, given.get("full", 0)
    found = cell_costs(cells, prior, full_count)
    findings = explain_cost(cells, found, prior, full_count)
    return {
        **{word: in_yuan(found[industry]) for word, industry in WORDS.items()},
        "provisions": [str(finding.provision) for finding in findings],
    }


def settlement(day: date, given: Given) -> Answer:
    found = settle(books_of(Month.of(day), pools_of(given)), the_rules(day, given), PROVINCE)
    pools = {pool.pooling_area: pool for pool in found.figures}
    return {
        "risk_adjustment": {area: pool.risk_adjustment.yuan for area, pool in pools.items()},
        "deficit_compensation": {
            area: pool.deficit_compensation.yuan for area, pool in pools.items()
        },
        "closing": {area: pool.closing.yuan for area, pool in pools.items()},
        "provisions": [str(finding.provision) for finding in explain(found)],
    }


def books_of(month: Month, pools: list[Pool]) -> Books:
    """The totals that the ledger would hold for these pools."""
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
        totals.append(a_total(pool, Account.SURCHARGE_INCOME, Industry.NONE, -pool.surcharge, 0))
    openings = {pool.pooling_area: pool.opening for pool in pools}
    return Books(month, tuple(totals), openings, rules.province_cells(pools))


def a_total(pool: Pool, account: Account, industry: Industry, amount: Fen, quantity: int) -> Total:
    return Total(pool.pooling_area, account, industry, amount, quantity, 1, 0)


def year_end(day: date, given: Given) -> Answer:
    found = reserve.close_year(
        Year(
            opening=yuan(given.get("opening", "0")),
            income=yuan(given["income"]),
            spending=yuan(given["spending"]),
            reserve=yuan(given.get("reserve", "0")),
            premium=yuan(given["premium"] if "premium" in given else given["income"]),
            owed=yuan(given.get("owed", "0")),
            lender=a_lender(given),
        ),
        year_rules(day),
    )
    return {
        "shortfall": found.shortfall.yuan,
        "reserve_used": found.reserve_used.yuan,
        "loan": found.loan.yuan,
        "uncovered": found.uncovered.yuan,
        "repaid": found.repaid.yuan,
        "overdue": found.overdue.yuan,
        "to_reserve": found.to_reserve.yuan,
        "reserve": found.reserve.yuan,
        "closing": found.closing.yuan,
        "alarm": found.alarm,
        "provisions": [str(finding.provision) for finding in found.findings],
    }


def a_lender(given: Given) -> Lender | None:
    if "lender" not in given:
        return None
    return Lender(yuan(given["lender"]["balance"]), yuan(given["lender"]["yearly_spending"]))


def new_loan(_day: date, given: Given) -> Answer:
    reserve.may_borrow(yuan(given["owed"]))
    return {"allowed": True, "provisions": [str(reserve.LOAN_PROVISION)]}


def hand_up(day: date, given: Given) -> Answer:
    handed = reserve.hand_up("440100", yuan(given["last_years_premium"]), year_rules(day))
    return {"amount": handed.amount.yuan, "provisions": [str(handed.finding.provision)]}


def cover(_day: date, given: Given) -> Answer:
    sources = [(name, yuan(held)) for name, held in given["sources"].items()]
    shortfall = yuan(given["shortfall"])
    parts = reserve.cover(shortfall, sources)
    return {
        **{name: part.yuan for name, part in parts},
        "provisions": [str(reserve.explain_cover(shortfall, parts).provision)],
    }


def prior(day: date, given: Given) -> Answer:
    found = the_rules(day, given)
    return {word: in_yuan(found.prior[industry]) for word, industry in WORDS.items()}


def ready(day: date, given: Given) -> Answer:
    found = obstacles(
        Month.parse(given["month"]),
        day,
        Readiness(
            earlier_open=[Month.parse(text) for text in given.get("earlier_open", [])],
            dead_letter_count=given.get("dead_letters", 0),
            gaps=given.get("gaps", []),
            premiums_assessed=given.get("premiums_assessed", True),
        ),
    )
    return {"obstacles": len(found), "first": found[0].text if found else ""}


def year_rules(day: date) -> YearRules:
    return reserve.year_rules(PARAMETERS, day, PROVINCE)


def yuan(text: str) -> Fen:
    return Fen.of_yuan(text.replace(",", ""))


def in_yuan(cost: Fraction) -> str:
    """Fen per order as yuan with eight places, rounded half up."""
    return f"{Decimal(cost.numerator) / cost.denominator / 100:.8f}"


RULES: dict[str, Callable[[date, Given], Answer]] = {
    "m1": m1,
    "m2": m2,
    "m3": m3,
    "m4": m4,
    "swiss": swiss,
    "dutch": dutch,
    "full_pooling": full,
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
