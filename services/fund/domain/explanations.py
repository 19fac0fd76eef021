"""The calculation of a settlement's transfers, as findings that a person can check by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from services.fund.domain.cells import Cell, Cells, Costs, credibility, mean_cost
from services.fund.domain.equalisation import Pool, Transfers, Workings
from services.fund.domain.equalisation_rules import RiskAdjustment
from services.fund.domain.ledger import CELLS
from services.fund.domain.settlement import Settlement
from services.kernel.law import Finding, Outcome, ParameterVersion, Provision, Tag, facts
from services.kernel.money import Fen
from services.kernel.scheme import Industry

RISK_PROVISIONS = {
    RiskAdjustment.NEED_LESS_STRENGTH: Provision("风险调剂", "需求减能力", Tag.COMMON),
    RiskAdjustment.SWISS: Provision("风险调剂", "KVG 形式: 每单成本减平均成本", Tag.COMMON),
    RiskAdjustment.DUTCH: Provision("风险调剂", "需求减能力加事后调整", Tag.COMMON),
    RiskAdjustment.PROPORTIONAL_POOLING: Provision("调剂金", "按比例上解下拨", Tag.COMMON),
    RiskAdjustment.FULL_POOLING: Provision("调剂金", "统收统支", Tag.COMMON),
    RiskAdjustment.NONE: Provision("风险调剂", "不调剂", Tag.ASSUMED),
}
DEFICIT_PROVISION = Provision("调剂金", "缺口调剂", Tag.ASSUMED)
BURDEN_PROVISION = Provision("SGB VII", "§ 178", Tag.COMMON)
LAYER_PROVISION = Provision("大额案件", "省级分担", Tag.ASSUMED)
TRUE_UP_PROVISION = Provision("调剂金", "年度清算", Tag.ASSUMED)
AVERAGE_PROVISION = Provision("每单成本", "移动平均", Tag.ASSUMED)
CREDIBILITY_PROVISION = Provision("每单成本", "可信度", Tag.ASSUMED)
PRIOR_PROVISION = Provision("每单成本", "先验值", Tag.ASSUMED)
COST_DECIMALS = 8

Versions = tuple[ParameterVersion, ...]


def explain(settlement: Settlement) -> list[Finding]:
    """One finding for the cost of orders, one for each industry, then two per area: one a rule."""
    rules = settlement.rules
    names = ("cell_cost_window", "credibility_cases", "cell_cost_prior")
    versions = tuple(rules.version(name) for name in names) if rules.versions else ()
    by_industry = explain_cost(
        settlement.cells, settlement.costs, rules.prior, rules.full_count, versions
    )
    findings = [_costs(settlement), *by_industry]
    for pool in settlement.pools:
        findings.append(_risk(settlement, pool))
        findings.append(_deficit(settlement, pool))
    return findings


def explain_burden(moved: Transfers, versions: Versions = ()) -> list[Finding]:
    """Burden sharing of pensions, one finding per area; it says if the factor was lowered."""
    return [
        _with_factor(finding, moved.workings.get(area, {}))
        for area, finding in zip(
            moved.amounts, explain_transfers(moved, BURDEN_PROVISION, versions), strict=True
        )
    ]


def _with_factor(finding: Finding, workings: Workings) -> Finding:
    if "factor_applied" not in workings:
        return finding
    factor, applied = workings["factor"], workings["factor_applied"]
    return replace(
        finding,
        text=f"{finding.text[:-1]}; own burdens by the factor {factor} would exceed the pensions "
        f"paid, so the factor is {applied}.",
        text_zh=f"{finding.text_zh[:-1]}; 按系数 {factor} 计算的自担额超过已付待遇, "
        f"故系数取 {applied}。",
    )


def explain_layer(moved: Transfers, versions: Versions = ()) -> list[Finding]:
    """What single cases cost beyond the threshold, one finding per area."""
    return explain_transfers(moved, LAYER_PROVISION, versions)


def explain_true_up(moved: Transfers) -> list[Finding]:
    """The transfers of the yearly true-up, one finding per area."""
    return explain_transfers(moved, TRUE_UP_PROVISION)


def explain_transfers(
    moved: Transfers, provision: Provision, versions: Versions = ()
) -> list[Finding]:
    """One finding per area for a rule that is not part of the monthly close."""
    return [
        Finding(
            provision=provision,
            outcome=Outcome.CALCULATED if amount else Outcome.NOT_MET,
            text=f"{area}: {_moves(amount)}.",
            text_zh=f"{area}: {_moves_zh(amount)}。",
            inputs=facts(pooling_area=area),
            outputs=facts(transfer_fen=amount.count, **moved.workings.get(area, {})),
            parameters=versions,
            arithmetic=_steps(moved.workings.get(area, {}), amount),
        )
        for area, amount in moved.amounts.items()
    ]


def explain_cost(
    cells: Cells, costs: Costs, prior: Costs, full_count: int, versions: Versions = ()
) -> list[Finding]:
    """One finding per industry: its own average, its prior, or a mix of both by credibility."""
    return [
        replace(
            _cost(industry, cells.get(industry, Cell()), costs, prior, full_count),
            parameters=versions,
        )
        for industry in CELLS
    ]


def _cost(industry: Industry, cell: Cell, costs: Costs, prior: Costs, full_count: int) -> Finding:
    result = cost_text(costs[industry])
    trust = credibility(cell.case_count, full_count) if full_count else Fraction(1)
    if cell.order_count <= 0:
        provision, how, how_zh = PRIOR_PROVISION, "the prior, without orders", "无订单, 采用先验值"
    elif trust < 1:
        provision = CREDIBILITY_PROVISION
        how = f"own cost believed by {cost_text(trust)}, the rest prior"
        how_zh = f"自身成本可信度 {cost_text(trust)}, 其余采用先验值"
    else:
        provision, how, how_zh = AVERAGE_PROVISION, "spending by orders", "支出除以订单数"
    return Finding(
        provision=provision,
        outcome=Outcome.CALCULATED,
        text=f"An order of {industry.name} costs {result} fen: {how}.",
        text_zh=f"{industry.name} 每单成本 {result} 分: {how_zh}。",
        inputs=facts(
            order_count=cell.order_count,
            spending_fen=cell.spending.count,
            case_count=cell.case_count,
            prior_fen=cost_text(prior[industry]),
        ),
        outputs=facts(cost_fen=result),
        arithmetic=f"{cell.spending.count} fen / {cell.order_count} orders, z {cost_text(trust)}",
    )


def cost_text(cost: Fraction) -> str:
    """Fen per order as a decimal with eight places, truncated."""
    shifted = cost.numerator * 10**COST_DECIMALS // cost.denominator
    return str(Decimal(shifted).scaleb(-COST_DECIMALS))


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
        outputs=facts(**costs, mean=cost_text(mean_cost(settlement.cells))),
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
        arithmetic=_steps(workings, amount),
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


def _steps(workings: Workings, amount: Fen) -> str:
    steps = ", ".join(
        f"{name} {value}" if name.startswith("factor") else f"{name} {value} fen"
        for name, value in workings.items()
    )
    return f"{steps or 'nothing to measure by'} -> {amount.count} fen"


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
