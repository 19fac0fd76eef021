"""The month's one statement and its specification in Python give the same lines."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.kernel.periods import Month
from services.kernel.scheme import Industry
from services.premiums.domain.assessment import bill_month
from services.premiums.domain.law import law
from services.premiums.domain.lines import DueDates, Line, premium_lines
from services.premiums.domain.rates import rates
from services.premiums.domain.tallies import Accrual, Tally
from services.premiums.domain.terms import Term, TermKind
from services.premiums.store import accruals as accrual_store
from services.premiums.store import assessment as assessment_store
from services.premiums.store import bills as bill_store
from services.runtime.storage.database import Database
from tests.conftest import OpenDatabase

LAW = law("440000")
NOW = datetime(2025, 8, 1, tzinfo=UTC)
JULY = Month(2025, 7)
PLATFORMS = ("91110108MA01ABCD2H", "91350100M000100Y43")
FIRST_DAY, LAST_DAY = date(2025, 5, 30), JULY.last_day

days = st.integers(0, (LAST_DAY - FIRST_DAY).days).map(lambda n: FIRST_DAY + timedelta(days=n))
tallies = st.builds(
    Tally,
    platform=st.sampled_from(PLATFORMS),
    pooling_area=st.sampled_from(("440100", "440600")),
    industry=st.sampled_from([industry.value for industry in Industry]),
    service_date=days,
    order_count=st.integers(-3, 3) | st.integers(-1_000_000, 10_000_000),
)
bands = st.builds(
    Term,
    platform=st.sampled_from(PLATFORMS),
    kind=st.just(TermKind.BAND),
    since=days,
    value=st.sampled_from([Decimal(band) for band in ("0.50", "0.80", "1.00", "1.20", "1.50")]),
)
bases = st.builds(
    Term,
    platform=st.sampled_from(PLATFORMS),
    kind=st.just(TermKind.BASE),
    since=days,
    value=st.sampled_from([Decimal("0.06"), Decimal("0.07"), Decimal("0.25")]),
    industry=st.just(Industry.INSTANT_DELIVERY),
)


class Undo(Exception):  # noqa: N818 - no error: it ends an example without a trace
    """Rolls the example's transaction back."""


async def lines_by_sql(
    database: Database, batches: Sequence[Sequence[Tally]], own: Sequence[Term], due: DueDates
) -> list[Line]:
    lines: list[Line] = []
    with suppress(Undo):
        async with database.begin() as tx:
            for number, batch in enumerate(batches):
                accruals = [
                    Accrual(tally, bill_month(tally.key.month, JULY.plus(-1))) for tally in batch
                ]
                await accrual_store.insert(tx, str(number), accruals, NOW)
            keys = await assessment_store.list_line_keys(tx, JULY)
            await assessment_store.insert_lines(tx, JULY, rates(keys, own, LAW), due)
            for platform in PLATFORMS:
                lines += await bill_store.list_lines(tx, platform, JULY)
            raise Undo
    return lines


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    counted=st.lists(tallies, min_size=1, max_size=30),
    fixed=st.lists(bands | bases, max_size=6),
    marked=st.sets(st.integers(0, 29), max_size=5),
)
async def test_the_statement_of_the_month_gives_the_lines_that_the_rule_gives(
    database: OpenDatabase, counted: list[Tally], fixed: list[Term], marked: set[int]
) -> None:
    own = [Term(**{**vars(term), "seq": seq}) for seq, term in enumerate(fixed)]
    low = frozenset(counted[n].key for n in marked if n < len(counted))
    due = DueDates(
        date(2025, 8, 15), low, {tally.key.month: date(2025, 7, 15) for tally in counted}
    )
    in_force = rates({tally.key for tally in counted}, own, LAW)

    by_rule = premium_lines(counted, in_force, due)
    # A batch contains a cell once, so each tally comes in a separate batch.
    by_sql = await lines_by_sql(
        await database("premiums"), [[tally] for tally in counted], own, due
    )

    def order(line: Line) -> tuple[object, ...]:
        return (line.key, line.base, line.band, line.markup)

    assert sorted(by_sql, key=order) == sorted(by_rule, key=order)
