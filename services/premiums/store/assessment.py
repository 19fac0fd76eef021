"""Assessments: a month's work, in statements whose cost follows tallies, not orders.

`insert_lines` is the set-based form of `domain.lines.premium_lines`; a property test compares the
two.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime

import sqlalchemy as sa

from services.kernel.money import Fen
from services.kernel.periods import Month
from services.premiums.domain.assessment import Assessment
from services.premiums.domain.bills import BillState
from services.premiums.domain.lines import DueDates, Line, LineKind
from services.premiums.domain.rates import Rate
from services.premiums.domain.tallies import LineKey
from services.premiums.store.tables import accruals, assessment_head, assessments, lines
from services.runtime.rpc.wire import findings_to_json
from services.runtime.storage.database import Transaction


async def find_latest_month(tx: Transaction) -> Month | None:
    """The newest assessed month; None before the first assessment."""
    first_day = (await tx.execute(sa.select(assessment_head.c.latest_month))).scalar_one()
    return None if first_day is None else Month.of(first_day)


async def lock_latest_month(tx: Transaction, *, exclusive: bool = False) -> Month | None:
    """The newest assessed month, locked: shared among accruals and terms, or exclusively."""
    statement = sa.select(assessment_head.c.latest_month).with_for_update(read=not exclusive)
    first_day = (await tx.execute(statement)).scalar_one()
    return None if first_day is None else Month.of(first_day)


async def find_open_month(tx: Transaction, latest: Month | None) -> Month | None:
    """The first bill month after the newest assessed one that has tallies."""
    statement = sa.select(sa.func.min(accruals.c.bill_month))
    if latest is not None:
        statement = statement.where(accruals.c.bill_month > latest.first_day)
    first_day = (await tx.execute(statement)).scalar_one()
    return None if first_day is None else Month.of(first_day)


async def list_line_keys(tx: Transaction, month: Month) -> list[LineKey]:
    """The lines that a bill month's tallies fall in; days that cancel out make none."""
    statement = sa.text(
        """
        select distinct platform, pooling_area, industry, date_trunc('month', service_date)::date
        from (
            select platform, pooling_area, industry, service_date
            from accrual where bill_month = :month
            group by platform, pooling_area, industry, service_date
            having sum(order_count) <> 0
        ) days
        """
    )
    rows = await tx.execute(statement, {"month": month.first_day})
    return sorted(LineKey(row[0], row[1], row[2], Month.of(row[3])) for row in rows)


async def list_underdeclared(tx: Transaction, month: Month) -> frozenset[LineKey]:
    """Lines of late tallies for which the platform had declared fewer orders than are recorded."""
    statement = sa.text(
        """
        with late as (
            select platform, pooling_area, industry,
                   date_trunc('month', service_date)::date as service_month
            from accrual
            where bill_month = :month and service_date < :month
            group by 1, 2, 3, 4
        ), newest as (
            select platform, month, max(revision) as revision from declaration group by 1, 2
        )
        select late.platform, late.pooling_area, late.industry, late.service_month
        from late
        join newest on newest.platform = late.platform and newest.month = late.service_month
        left join declaration_row d
            on d.platform = newest.platform and d.month = newest.month
            and d.revision = newest.revision
            and d.pooling_area = late.pooling_area and d.industry = late.industry
        where coalesce(d.order_count, 0) < (
            select sum(a.order_count) from accrual a
            where a.platform = late.platform and a.pooling_area = late.pooling_area
              and a.industry = late.industry and a.service_date >= late.service_month
              and a.service_date < late.service_month + interval '1 month'
        )
        """
    )
    rows = await tx.execute(statement, {"month": month.first_day})
    return frozenset(LineKey(row[0], row[1], row[2], Month.of(row[3])) for row in rows)


_ADD_LINES = sa.text(
    """
    with days as (
        select platform, pooling_area, industry, service_date, sum(order_count) as order_count
        from accrual
        where bill_month = :month
        group by platform, pooling_area, industry, service_date
        having sum(order_count) <> 0
    ), span as (
        select * from unnest(
            cast(:span_line as integer[]), cast(:platform as text[]),
            cast(:pooling_area as text[]), cast(:industry as smallint[]),
            cast(:since as date[]), cast(:until as date[])
        ) as span (line, platform, pooling_area, industry, since, until)
    ), counted as (
        select span.line, sum(days.order_count) as order_count
        from days join span
            on span.platform = days.platform and span.pooling_area = days.pooling_area
            and span.industry = days.industry
            and days.service_date >= span.since and days.service_date < span.until
        group by span.line
    ), rate as (
        select * from unnest(
            cast(:line as integer[]), cast(:line_platform as text[]),
            cast(:line_area as text[]), cast(:line_industry as smallint[]),
            cast(:service_month as date[]), cast(:base as numeric[]), cast(:band as numeric[]),
            cast(:markup as numeric[]), cast(:due as date[]), cast(:findings as text[])
        ) as rate (line, platform, pooling_area, industry, service_month, base, band, markup,
                   due, findings)
    )
    insert into line (platform, month, pooling_area, industry, service_month, kind, order_count,
                      base, band, markup, premium_fen, due_date, findings)
    select rate.platform, :month, rate.pooling_area, rate.industry, rate.service_month, :kind,
           counted.order_count, rate.base, rate.band, rate.markup,
           round(counted.order_count * rate.base * rate.band * (1 + rate.markup) * 100),
           rate.due, cast(rate.findings as jsonb)
    from counted join rate using (line)
    where counted.order_count <> 0
    order by rate.line
    """
)


async def insert_lines(tx: Transaction, month: Month, rates: Sequence[Rate], due: DueDates) -> None:
    """Make a bill month's lines from its tallies, one per key and rate, rounded once.

    Spans say which service dates have which rate; all spans of one key with the same rate are one
    line.
    """
    number_of: dict[tuple[LineKey, tuple[object, ...]], int] = {}
    for rate in rates:
        number_of.setdefault((rate.key, rate.factors), len(number_of))
    first_of: dict[int, Rate] = {}
    for rate in rates:
        first_of.setdefault(number_of[rate.key, rate.factors], rate)
    heads = list(first_of.items())
    await tx.execute(
        _ADD_LINES,
        {
            "month": month.first_day,
            "kind": LineKind.ORDERS.value,
            "span_line": [number_of[rate.key, rate.factors] for rate in rates],
            "platform": [rate.key.platform for rate in rates],
            "pooling_area": [rate.key.pooling_area for rate in rates],
            "industry": [rate.key.industry for rate in rates],
            "since": [rate.days.start for rate in rates],
            "until": [rate.days.end for rate in rates],
            "line": [number for number, _ in heads],
            "line_platform": [rate.key.platform for _, rate in heads],
            "line_area": [rate.key.pooling_area for _, rate in heads],
            "line_industry": [rate.key.industry for _, rate in heads],
            "service_month": [rate.key.month.first_day for _, rate in heads],
            "base": [rate.base for _, rate in heads],
            "band": [rate.band for _, rate in heads],
            "markup": [rate.markup for _, rate in heads],
            "due": [due.of(rate.key) for _, rate in heads],
            "findings": [
                json.dumps(findings_to_json(rate.findings), ensure_ascii=False) for _, rate in heads
            ],
        },
    )


async def insert_reversals(tx: Transaction, month: Month, due: date) -> None:
    """Reverse the estimates whose orders came with this bill month, or whose month was declared."""
    statement = sa.text(
        """
        insert into line (platform, month, pooling_area, industry, service_month, kind,
                          order_count, base, band, markup, premium_fen, due_date, findings)
        select e.platform, :month, e.pooling_area, e.industry, e.service_month, :reversal,
               0, 0, e.band, 0, -e.premium_fen, :due, e.findings
        from line e
        where e.kind = :estimate
          and not exists (
              select from line r
              where r.kind = :reversal and r.platform = e.platform
                and r.service_month = e.service_month
          )
          and (
              exists (
                  select from accrual a
                  where a.platform = e.platform and a.bill_month = :month
                    and a.service_date >= e.service_month
                    and a.service_date < e.service_month + interval '1 month'
              )
              or exists (
                  select from declaration d
                  where d.platform = e.platform and d.month = e.service_month
              )
          )
        """
    )
    await tx.execute(
        statement,
        {
            "month": month.first_day,
            "due": due,
            "estimate": LineKind.ESTIMATE.value,
            "reversal": LineKind.REVERSAL.value,
        },
    )


async def insert_estimate(tx: Transaction, month: Month, estimate: Sequence[Line]) -> None:
    """Add the lines of an estimate."""
    await tx.execute(
        sa.insert(lines),
        [
            {
                "platform": line.key.platform,
                "month": month.first_day,
                "pooling_area": line.key.pooling_area,
                "industry": line.key.industry,
                "service_month": line.key.month.first_day,
                "kind": line.kind.value,
                "order_count": line.order_count,
                "base": line.base,
                "band": line.band,
                "markup": line.markup,
                "premium_fen": line.premium.count,
                "due_date": line.due,
                "findings": findings_to_json(line.findings),
            }
            for line in estimate
        ],
    )


async def insert_bills(tx: Transaction, month: Month, due: date, now: datetime) -> list[str]:
    """Make a bill for each platform with lines of the month and no bill; their platforms."""
    statement = sa.text(
        """
        insert into bill (platform, month, premium_fen, due_date, state, revision, create_time)
        select platform, month, sum(premium_fen), :due, :state, 1, :now
        from line l
        where month = :month
          and not exists (select from bill b where b.platform = l.platform and b.month = l.month)
        group by platform, month
        returning platform
        """
    )
    values = {
        "month": month.first_day,
        "due": due,
        "state": BillState.ASSESSED.value,
        "now": now,
    }
    return sorted((await tx.execute(statement, values)).scalars())


class UnbilledOrdersError(RuntimeError):
    """Orders of a month stand in no line of its bills; their premium would never be asked for."""

    def __init__(self, month: Month, accrued_count: int, billed_count: int) -> None:
        super().__init__(f"{month}: {accrued_count} orders accrued, {billed_count} are billed")


async def insert(
    tx: Transaction, month: Month, due: date, gap_day_count: int, now: datetime
) -> Assessment:
    """Record the sums of the month and make it the newest assessed one."""
    sums = sa.select(
        sa.func.count(sa.distinct(lines.c.platform)),
        sa.func.count(),
        sa.func.coalesce(sa.func.sum(lines.c.order_count), 0),
        sa.func.coalesce(sa.func.sum(lines.c.premium_fen), 0),
    ).where(lines.c.month == month.first_day)
    bill_count, line_count, order_count, premium_fen = (await tx.execute(sums)).one()
    tallied = sa.select(sa.func.coalesce(sa.func.sum(accruals.c.order_count), 0)).where(
        accruals.c.bill_month == month.first_day
    )
    accrued_count = (await tx.execute(tallied)).scalar_one()
    if accrued_count != order_count:
        raise UnbilledOrdersError(month, accrued_count, order_count)
    assessment = Assessment(
        month,
        bill_count,
        line_count,
        int(order_count),
        Fen(int(premium_fen)),
        due,
        gap_day_count,
    )
    await tx.execute(
        sa.insert(assessments).values(
            month=month.first_day,
            bill_count=assessment.bill_count,
            line_count=assessment.line_count,
            order_count=assessment.order_count,
            premium_fen=assessment.premium.count,
            due_date=due,
            gap_day_count=gap_day_count,
            create_time=now,
        )
    )
    await tx.execute(sa.update(assessment_head).values(latest_month=month.first_day))
    return assessment


async def find_assessed(tx: Transaction, month: Month) -> bool:
    """Whether a month was itself assessed."""
    statement = sa.select(assessments.c.month).where(assessments.c.month == month.first_day)
    return (await tx.execute(statement)).first() is not None


async def list_month_premiums(
    tx: Transaction, platform: str, month: Month
) -> dict[tuple[str, int], Fen]:
    """What a platform was billed for the month itself, by pooling area and industry."""
    statement = (
        sa.select(lines.c.pooling_area, lines.c.industry, sa.func.sum(lines.c.premium_fen))
        .where(
            lines.c.platform == platform,
            lines.c.month == month.first_day,
            lines.c.service_month == month.first_day,
        )
        .group_by(lines.c.pooling_area, lines.c.industry)
        .having(sa.func.sum(lines.c.premium_fen) > 0)
        .order_by(lines.c.pooling_area, lines.c.industry)
    )
    return {(area, industry): Fen(int(fen)) for area, industry, fen in await tx.execute(statement)}
