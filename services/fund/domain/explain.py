"""How a settlement's transfers came about, as findings that a person can check by hand."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from services.fund.domain.equalisation import Pool
from services.fund.domain.ledger import CELLS
from services.fund.domain.settlement import Settlement
from services.kernel.law import Finding, Outcome, Provision, Tag, facts
from services.kernel.money import Fen

RISK_PROVISIONS = {
    "m3": Provision("风险调剂", "需求减能力", Tag.COMMON),
    "swiss": Provision("风险调剂", "KVG 形式: 每单成本减平均成本", Tag.LAW),
    "dutch": Provision("风险调剂", "需求减能力加事后调整", Tag.COMMON),
    "m2": Provision("调剂金", "按比例上解下拨", Tag.COMMON),
    "full": Provision("调剂金", "统收统支", Tag.COMMON),
    "none": Provision("风险调剂", "不调剂", Tag.ASSUMED),
}
DEFICIT_PROVISION = Provision("调剂金", "缺口调剂", Tag.ASSUMED)
COST_DECIMALS = 8


def explain(settlement: Settlement) -> list[Finding]:
    """One finding for the cost of orders, then for each area one a rule."""
    found = [_costs(settlement)]
    for pool in settlement.pools:
        found.append(_risk(settlement, pool))
        found.append(_deficit(settlement, pool))
    return found


def cost_text(cost: Fraction) -> str:
    """Fen per order as a decimal with eight places, cut off."""
    return str(Decimal(cost.numerator * 10**COST_DECIMALS // cost.denominator).scaleb(-8))


def _costs(settlement: Settlement) -> Finding:
    rules = settlement.rules
    costs = {cell.name: cost_text(settlement.costs[cell]) for cell in CELLS}
    return Finding(
        provision=RISK_PROVISIONS[rules.risk_adjustment],
        outcome=Outcome.CALCULATED,
        text=(
            f"Cost of an order in {settlement.month} over the province, by industry: spending by "
            f"orders over {rules.window} months; without orders the expected cost."
        ),
        text_zh=(
            f"{settlement.month} 全省每单成本(分行业): {rules.window} 个月支出除以订单数; "
            "无订单的行业采用先验值。"
        ),
        inputs=facts(window_months=rules.window, full_credibility_cases=rules.full_count),
        outputs=facts(**costs),
        parameters=tuple(
            rules.version(name)
            for name in ("risk_adjustment", "cell_cost_window", "cell_cost_prior")
        )
        if rules.versions
        else (),
        arithmetic="; ".join(f"{name}: {cost} fen an order" for name, cost in costs.items()),
    )


def _risk(settlement: Settlement, pool: Pool) -> Finding:
    rules = settlement.rules
    area = pool.pooling_area
    amount = settlement.risk.of(area)
    workings = settlement.risk.workings.get(area, {})
    steps = ", ".join(f"{name} {value} fen" for name, value in workings.items())
    return Finding(
        provision=RISK_PROVISIONS[rules.risk_adjustment],
        outcome=Outcome.CALCULATED if workings else Outcome.NOT_MET,
        text=f"Risk adjustment of {area} in {settlement.month}: {_moves(amount)}.",
        text_zh=f"{area} {settlement.month} 风险调剂: {_moves_zh(amount)}。",
        inputs=facts(
            pooling_area=area,
            premium_fen=pool.premium.count,
            spending_fen=pool.spending.count,
            **{
                f"orders_{cell.name}": pool.cells[cell].order_count
                for cell in CELLS
                if cell in pool.cells
            },
        ),
        outputs=facts(transfer_fen=amount.count, **workings),
        parameters=(rules.version("risk_adjustment"),) if rules.versions else (),
        arithmetic=f"{steps} -> {amount.count} fen" if steps else "nothing to measure by -> 0 fen",
    )


def _deficit(settlement: Settlement, pool: Pool) -> Finding:
    rules = settlement.rules
    area = pool.pooling_area
    risk, amount = settlement.risk.of(area), settlement.deficit.of(area)
    position = pool.balance + risk - rules.floor
    names = ("deficit_compensation", "balance_floor")
    return Finding(
        provision=DEFICIT_PROVISION,
        outcome=Outcome.CALCULATED if amount else Outcome.NOT_MET,
        text=f"Deficit compensation of {area} in {settlement.month}: {_moves(amount)}.",
        text_zh=f"{area} {settlement.month} 缺口调剂: {_moves_zh(amount)}。",
        inputs=facts(
            pooling_area=area,
            opening_fen=pool.opening.count,
            income_fen=pool.income.count,
            spending_fen=pool.spending.count,
            risk_adjustment_fen=risk.count,
            floor_fen=rules.floor.count,
        ),
        outputs=facts(
            position_fen=position.count,
            transfer_fen=amount.count,
            closing_fen=(pool.balance + risk + amount).count,
        ),
        parameters=tuple(rules.version(name) for name in names) if rules.versions else (),
        arithmetic=(
            f"{pool.opening.count} + {pool.income.count} - {pool.spending.count} + {risk.count} "
            f"- {rules.floor.count} = {position.count} fen; moved {amount.count} fen"
        ),
    )


def _moves(amount: Fen) -> str:
    if not amount:
        return "nothing moves"
    verb = "receives" if amount.count > 0 else "pays"
    return f"{verb} {Fen(abs(amount.count)).yuan} yuan"


def _moves_zh(amount: Fen) -> str:
    if not amount:
        return "无划转"
    verb = "下拨" if amount.count > 0 else "上解"
    return f"{verb} {Fen(abs(amount.count)).yuan} 元"
