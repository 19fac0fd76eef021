"""Equalisation between pooling areas (调剂): each rule is a function from pools to transfers.

Transfers are by pooling area, positive for what an area receives, in whole fen, and sum to exactly
zero: exact amounts are floored and the remaining fen go to the largest remainders, ties to the area
that receives more and then to the lower division code. The order of the pools has no effect.

The rules are deficit compensation, proportional pooling, risk adjustment in three forms (need less
strength, Swiss, Dutch), the burden sharing of the German accident insurance (SGB VII §§ 176-181),
full pooling, and the layer of large claims.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor

from services.fund.domain.cells import Cells, Costs
from services.fund.domain.ledger import UnbalancedError
from services.kernel.money import ZERO, Fen, share, total


@dataclass(frozen=True)
class Pool:
    """A pooling area's month. `opening` is the balance before, `premium` what was assessed."""

    pooling_area: str
    opening: Fen = ZERO
    premium: Fen = ZERO
    surcharge: Fen = ZERO
    cells: Cells = field(default_factory=dict)
    # Spending without an industry counts in the balance and in no cell.
    other_spending: Fen = ZERO

    @property
    def spending(self) -> Fen:
        """Benefits of the month."""
        return total(cell.spending for cell in self.cells.values()) + self.other_spending

    @property
    def income(self) -> Fen:
        """Premiums assessed and surcharges received."""
        return self.premium + self.surcharge

    @property
    def balance(self) -> Fen:
        """The balance at the end of the month before any transfer."""
        return self.opening + self.income - self.spending

    @property
    def order_count(self) -> int:
        """Orders of the month."""
        return sum(cell.order_count for cell in self.cells.values())


Workings = Mapping[str, str]


@dataclass(frozen=True)
class Transfers:
    """What each pooling area receives in fen, and the steps of its calculation."""

    amounts: Mapping[str, Fen]
    workings: Mapping[str, Workings] = field(default_factory=dict)

    def of(self, pooling_area: str) -> Fen:
        """What an area receives; negative if it pays."""
        return self.amounts.get(pooling_area, ZERO)


def nothing(pools: Sequence[Pool]) -> Transfers:
    """No transfer between any pools."""
    return Transfers({pool.pooling_area: ZERO for pool in pools})


def risk_adjustment(pools: Sequence[Pool], costs: Costs) -> Transfers:
    """Need less strength: levels the mix of orders, neither bad luck nor bad control.

    Need: the area's orders at the province's cost of their cells. Strength: the sum of all needs in
    proportion to premiums. Both are exact; only their difference is rounded. Without premiums there
    is no measure of strength and no transfer.
    """
    need, strength = _need_and_strength(pools, costs)
    if not strength:
        return nothing(pools)
    return Transfers(
        to_fen({area: need[area] - strength[area] for area in need}),
        {area: _shown(need=need[area], strength=strength[area]) for area in need},
    )


def swiss(pools: Sequence[Pool], costs: Costs) -> Transfers:
    """Swiss form: for each order its cell's cost less the mean cost of all orders."""
    needs = {pool.pooling_area: _need(pool, costs) for pool in pools}
    orders = {pool.pooling_area: _orders(pool) for pool in pools}
    if not sum(orders.values()):
        return nothing(pools)
    mean = sum(needs.values(), Fraction(0)) / sum(orders.values())
    return Transfers(
        to_fen({area: needs[area] - orders[area] * mean for area in needs}),
        {area: _shown(need=needs[area], at_mean_cost=orders[area] * mean) for area in needs},
    )


def dutch(pools: Sequence[Pool], costs: Costs, retrospective: Fraction) -> Transfers:
    """Dutch form: need less strength, plus a share of what an area spent beyond its need.

    Where the needs of all areas do not add up to the spending (averaged costs), the retrospective
    part scales the need to the spending, so that this part sums to zero as well. All is exact until
    the transfer is rounded.
    """
    need, strength = _need_and_strength(pools, costs)
    if not strength:
        return nothing(pools)
    spent = {pool.pooling_area: pool.spending.count for pool in pools}
    scale = sum(spent.values()) / sum(need.values(), Fraction(0))
    beyond = {area: retrospective * (spent[area] - need[area] * scale) for area in need}
    return Transfers(
        to_fen({area: need[area] - strength[area] + beyond[area] for area in need}),
        {
            area: _shown(need=need[area], strength=strength[area], retrospective=beyond[area])
            for area in need
        },
    )


def proportional_pooling(
    pools: Sequence[Pool], pooled_share: Fraction, *, by_orders: bool = False
) -> Transfers:
    """Each area pays a share of its premium into a pot and draws on it by spending or orders."""
    levies = {pool.pooling_area: pooled_share * max(0, pool.premium.count) for pool in pools}
    weights = {
        pool.pooling_area: Fraction(_orders(pool) if by_orders else max(0, pool.spending.count))
        for pool in pools
    }
    if not sum(weights.values()):
        return nothing(pools)
    pot = sum(levies.values(), Fraction(0))
    drawn = _in_proportion(pot, weights)
    return Transfers(
        to_fen({area: drawn[area] - levies[area] for area in levies}),
        {area: _shown(given=levies[area], drawn=drawn[area]) for area in levies},
    )


def full_pooling(pools: Sequence[Pool]) -> Transfers:
    """All spending is shared in proportion to premiums (统收统支)."""
    premiums = {pool.pooling_area: Fraction(max(0, pool.premium.count)) for pool in pools}
    if not sum(premiums.values()):
        return nothing(pools)
    spent = {pool.pooling_area: Fraction(pool.spending.count) for pool in pools}
    strength = _in_proportion(sum(spent.values(), Fraction(0)), premiums)
    return Transfers(
        to_fen({area: spent[area] - strength[area] for area in spent}),
        {area: _shown(spending=spent[area], strength=strength[area]) for area in spent},
    )


def deficit_compensation(positions: Mapping[str, Fen]) -> Transfers:
    """Areas above the floor lift those below to it, in proportion to their surplus.

    `positions` are balances less the floor, by pooling area. If all surpluses together are less
    than all deficits, each deficit is met in the same proportion. No payer falls below the floor.
    """
    areas = sorted(positions)
    deficits = {area: max(0, -positions[area].count) for area in areas}
    surpluses = {area: max(0, positions[area].count) for area in areas}
    moved = Fen(min(sum(deficits.values()), sum(surpluses.values())))
    if not moved:
        return Transfers(dict.fromkeys(areas, ZERO))
    grants = share(moved, [deficits[area] for area in areas])
    levies = share(moved, [surpluses[area] for area in areas])
    return Transfers(
        {area: grants[i] - levies[i] for i, area in enumerate(areas)},
        {
            area: {
                "position": str(positions[area].count),
                "all_deficits": str(sum(deficits.values())),
                "all_surpluses": str(sum(surpluses.values())),
                "moved": str(moved.count),
            }
            for area in areas
        },
    )


@dataclass(frozen=True)
class PensionBurden:
    """An area's pensions paid, and pensions first fixed in this year and the four before."""

    pooling_area: str
    paid: Fen
    fixed: Fen
    premium: Fen


def burden_factor(pools: Sequence[PensionBurden], own_share: Fraction) -> Fraction:
    """The factor k for a young scheme: own burdens amount to `own_share` of what is paid.

    Own burdens never exceed what is paid; the factor is 0 while no pension has been fixed.
    """
    paid = sum(pool.paid.count for pool in pools)
    fixed = sum(pool.fixed.count for pool in pools)
    return min(own_share, Fraction(1)) * Fraction(paid, fixed) if fixed else Fraction(0)


def burden_sharing(
    pools: Sequence[PensionBurden], factor: Fraction, by_fixed: Fraction
) -> Transfers:
    """Own burden is `factor` x pensions fixed; the areas bear the rest together.

    The excess of pensions paid over own burdens is shared `by_fixed` in proportion to pensions
    fixed and for the rest in proportion to premiums (in SGB VII: 30 % and 70 % by payroll). A
    factor by which own burdens would exceed what is paid leaves no excess to share: the largest
    possible factor takes its place, and the workings name both.
    """
    fixed = {pool.pooling_area: Fraction(pool.fixed.count) for pool in pools}
    premium = {pool.pooling_area: Fraction(pool.premium.count) for pool in pools}
    if not sum(premium.values()) or not sum(fixed.values()):
        return Transfers({pool.pooling_area: ZERO for pool in pools})
    applied = min(factor, burden_factor(pools, Fraction(1)))
    own = {pool.pooling_area: applied * pool.fixed.count for pool in pools}
    excess = sum(pool.paid.count for pool in pools) - sum(own.values(), Fraction(0))
    lowered = {} if applied == factor else {"factor": str(factor), "factor_applied": str(applied)}
    first = _in_proportion(by_fixed * excess, fixed)
    second = _in_proportion((1 - by_fixed) * excess, premium)
    exact = {}
    workings = {}
    for pool in pools:
        area = pool.pooling_area
        burden = own[area] + first[area] + second[area]
        exact[area] = pool.paid.count - burden
        workings[area] = lowered | _shown(
            own=own[area], by_fixed=first[area], by_premium=second[area], burden=burden
        )
    return Transfers(to_fen(exact), workings)


def large_claim_layer(
    pools: Sequence[Pool], cases: Mapping[str, Sequence[Fen]], threshold: Fen
) -> Transfers:
    """All areas bear what single cases cost beyond the threshold, in proportion to premiums.

    `cases` are the costs of single cases by pooling area. The layer is applied before the other
    rules, which then see an area's spending without it.
    """
    layer = {
        pool.pooling_area: Fraction(
            sum(max(0, case.count - threshold.count) for case in cases.get(pool.pooling_area, ()))
        )
        for pool in pools
    }
    premiums = {pool.pooling_area: Fraction(max(0, pool.premium.count)) for pool in pools}
    if not sum(premiums.values()):
        return nothing(pools)
    borne = _in_proportion(sum(layer.values(), Fraction(0)), premiums)
    return Transfers(
        to_fen({area: layer[area] - borne[area] for area in layer}),
        {area: _shown(layer=layer[area], borne=borne[area]) for area in layer},
    )


def true_up(year: Transfers, provisional: Sequence[Transfers]) -> Transfers:
    """The transfers that remain once the year's are known: the year's less the monthly ones."""
    areas = set(year.amounts).union(*(month.amounts for month in provisional))
    return Transfers(
        {
            area: year.of(area) - total(month.of(area) for month in provisional)
            for area in sorted(areas)
        }
    )


def to_fen(exact: Mapping[str, Fraction]) -> dict[str, Fen]:
    """Whole fen that sum to zero from exact amounts that do, by largest remainder.

    Raises UnbalancedError for amounts that do not sum to zero.
    """
    if difference := sum(exact.values(), Fraction(0)):
        raise UnbalancedError(f"the transfers sum to {difference} fen, not to 0")
    floors = {area: floor(amount) for area, amount in exact.items()}
    by_remainder = sorted(exact, key=lambda area: (floors[area] - exact[area], -exact[area], area))
    for area in by_remainder[: -sum(floors.values())]:
        floors[area] += 1
    return {area: Fen(floors[area]) for area in sorted(floors)}


def _need_and_strength(
    pools: Sequence[Pool], costs: Costs
) -> tuple[dict[str, Fraction], dict[str, Fraction]]:
    """Exact needs and strengths by area; both empty without needs or without premiums."""
    needs = {pool.pooling_area: _need(pool, costs) for pool in pools}
    premiums = {pool.pooling_area: Fraction(max(0, pool.premium.count)) for pool in pools}
    whole = sum(needs.values(), Fraction(0))
    if not whole or not sum(premiums.values()):
        return {}, {}
    return needs, _in_proportion(whole, premiums)


def _need(pool: Pool, costs: Costs) -> Fraction:
    return sum(
        (max(0, cell.order_count) * costs[industry] for industry, cell in pool.cells.items()),
        Fraction(0),
    )


def _orders(pool: Pool) -> int:
    return sum(max(0, cell.order_count) for cell in pool.cells.values())


def _in_proportion(amount: Fraction, weights: Mapping[str, Fraction]) -> dict[str, Fraction]:
    whole = sum(weights.values(), Fraction(0))
    return {area: amount * weight / whole for area, weight in weights.items()}


def _shown(**steps: Fraction) -> dict[str, str]:
    """Exact steps in fen with two decimals, rounded half away from zero, for people."""
    return {name: _two_decimals(value) for name, value in steps.items()}


def _two_decimals(value: Fraction) -> str:
    hundredths = floor(abs(value) * 100 + Fraction(1, 2))
    sign = "-" if value < 0 and hundredths else ""
    return f"{sign}{hundredths // 100}.{hundredths % 100:02d}"
