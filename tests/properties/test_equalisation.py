"""Properties of every rule of equalisation, for any pools."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from services.fund.domain import equalisation as rules
from services.fund.domain import reserve
from services.fund.domain.cells import Cell, add_up, cell_costs
from services.fund.domain.equalisation import PensionBurden, Pool, Transfers
from services.fund.domain.equalisation_rules import rules_on
from services.fund.domain.law import LAW
from services.fund.domain.ledger import CELLS, Account
from services.fund.domain.reserve import Lender, Year
from services.fund.domain.settlement import Books, Total, settle
from services.kernel.money import ZERO, Fen, total
from services.kernel.periods import Month
from services.kernel.scheme import Industry

JULY = Month(2025, 7)
RULES = rules_on(LAW, JULY.last_day, "440000")
YEAR_RULES = reserve.year_rules(LAW, JULY.last_day, "440000")

fens = st.integers(-(10**11), 10**11).map(Fen)
positive_fens = st.integers(0, 10**11).map(Fen)
cells = st.dictionaries(
    st.sampled_from(CELLS),
    st.builds(
        Cell, st.integers(-10, 10**8), st.integers(-(10**6), 10**10).map(Fen), st.integers(0, 3000)
    ),
)
areas = st.integers(0, 30).map(lambda number: f"44{number:02d}00")
many_pools = st.lists(
    st.builds(Pool, areas, fens, st.integers(-1000, 10**11).map(Fen), positive_fens, cells),
    min_size=1,
    max_size=21,
    unique_by=lambda pool: pool.pooling_area,
)
shares = st.fractions(0, 1, max_denominator=100)


def every_rule(pools: list[Pool], share: Fraction) -> dict[str, Transfers]:
    costs = cell_costs(add_up([pool.cells for pool in pools]), RULES.prior, 1000)
    cases = {pool.pooling_area: [pool.premium, Fen(10**8)] for pool in pools}
    burdens = [
        PensionBurden(
            pool.pooling_area,
            Fen(abs(pool.spending.count)),
            pool.surcharge,
            Fen(abs(pool.premium.count)),
        )
        for pool in pools
    ]
    return {
        "deficit compensation": rules.deficit_compensation(
            {pool.pooling_area: pool.balance for pool in pools}
        ),
        "proportional pooling": rules.proportional_pooling(pools, share),
        "proportional pooling by orders": rules.proportional_pooling(pools, share, by_orders=True),
        "need less strength": rules.risk_adjustment(pools, costs),
        "swiss": rules.swiss(pools, costs),
        "dutch": rules.dutch(pools, costs, share),
        "full pooling": rules.full_pooling(pools),
        "burden sharing": rules.burden_sharing(burdens, rules.burden_factor(burdens, share), share),
        "large claims": rules.large_claim_layer(pools, cases, Fen(5 * 10**7)),
    }


@given(many_pools, shares)
def test_transfers_of_every_rule_sum_to_exactly_zero(pools: list[Pool], share: Fraction) -> None:
    for name, moved in every_rule(pools, share).items():
        assert total(moved.amounts.values()) == ZERO, name
        assert set(moved.amounts) == {pool.pooling_area for pool in pools}, name


@given(many_pools.flatmap(lambda pools: st.tuples(st.just(pools), st.permutations(pools))), shares)
def test_the_order_of_the_pools_changes_nothing(
    orders: tuple[list[Pool], list[Pool]], share: Fraction
) -> None:
    before, after = (every_rule(pools, share) for pools in orders)

    assert {name: dict(moved.amounts) for name, moved in before.items()} == {
        name: dict(moved.amounts) for name, moved in after.items()
    }


@given(many_pools, st.fractions(0, 20, max_denominator=10))
def test_no_factor_of_burden_sharing_leaves_less_than_nothing_to_share(
    pools: list[Pool], factor: Fraction
) -> None:
    burdens = [
        PensionBurden(
            pool.pooling_area,
            Fen(abs(pool.spending.count)),
            Fen(abs(pool.surcharge.count)),
            Fen(abs(pool.premium.count)),
        )
        for pool in pools
    ]

    moved = rules.burden_sharing(burdens, factor, Fraction(3, 10))

    for steps in moved.workings.values():
        assert min(float(steps[name]) for name in ("own", "by_fixed", "by_premium")) >= 0


@given(st.dictionaries(areas, fens, min_size=1))
def test_nobody_stays_below_the_floor_if_the_surpluses_suffice(positions: dict[str, Fen]) -> None:
    moved = rules.deficit_compensation(positions)
    after = {area: positions[area] + moved.of(area) for area in positions}

    if total(positions.values()) >= ZERO:
        assert min(after.values()) >= ZERO
    assert all(after[area] >= ZERO for area in positions if positions[area] >= ZERO)
    assert all(
        positions[area] <= after[area] <= ZERO for area in positions if positions[area] < ZERO
    )


@given(many_pools)
def test_equal_mixes_and_premiums_move_nothing_by_risk(pools: list[Pool]) -> None:
    mix = {Industry.RIDE_HAILING: Cell(1000, Fen(777)), Industry.SAME_CITY_FREIGHT: Cell(5, Fen(1))}
    same = [Pool(pool.pooling_area, pool.opening, Fen(500), ZERO, mix) for pool in pools]

    moved = rules.risk_adjustment(
        same, cell_costs(add_up([pool.cells for pool in same]), RULES.prior)
    )

    assert set(moved.amounts.values()) == {ZERO}


@given(many_pools)
@settings(max_examples=50)
def test_a_settlement_neither_makes_nor_loses_a_fen(pools: list[Pool]) -> None:
    totals = [
        Total(pool.pooling_area, account, industry, amount, quantity, 1, 1)
        for pool in pools
        for industry, cell in pool.cells.items()
        for account, amount, quantity in (
            (Account.PREMIUM_INCOME, -Fen(cell.order_count), cell.order_count),
            (Account.BENEFIT_EXPENSE, cell.spending, cell.case_count),
        )
    ]
    openings = {pool.pooling_area: pool.opening for pool in pools}
    books = Books(JULY, tuple(totals), openings, add_up([pool.cells for pool in pools]))

    figures = settle(books, RULES, "440000").figures

    assert total(pool.equalisation for pool in figures) == ZERO
    assert total(pool.closing for pool in figures) == total(openings.values()) - total(
        entry.amount for entry in totals
    )


years = st.builds(
    Year,
    positive_fens,
    positive_fens,
    positive_fens,
    positive_fens,
    positive_fens,
    positive_fens,
    st.builds(Lender, positive_fens, positive_fens),
)


@given(years)
def test_a_year_end_neither_makes_nor_loses_a_fen(year: Year) -> None:
    end = reserve.close_year(year, YEAR_RULES)

    before = year.opening + year.income - year.spending + year.reserve
    assert end.closing + end.reserve == before + end.loan + end.uncovered - end.repaid
    assert end.repaid + end.overdue == year.owed
    assert min(end.closing, end.reserve, end.loan, end.uncovered, end.to_reserve) >= ZERO
    assert not (end.loan and year.owed)
