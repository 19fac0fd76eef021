"""Values as messages carry them, both ways.

Days, months and moments that come in are checked here, so that commands get only whole values; one
that cannot be read raises Malformed with its name and what to write instead.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from google.type import date_pb2
from oip.type.v1 import type_pb2

from services.kernel.law import Finding, Outcome, ParameterVersion, Provision, Tag
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.kernel.problems import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FIRST_YEAR, LAST_YEAR = 1900, 2200

# The second argument of a gRPC handler, which the handlers of this project do not use.
Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


def fen_to_wire(amount: Fen) -> int:
    """An amount as `int64 ..._fen` carries it."""
    return amount.count


def enum_number(value: int) -> Any:
    """A number as a protobuf enum, whose type in the stubs is not int."""
    return value


def date_to_wire(day: date) -> date_pb2.Date:
    """A civil day as `google.type.Date`."""
    return date_pb2.Date(year=day.year, month=day.month, day=day.day)


def date_from_wire(message: date_pb2.Date, field: str) -> date:
    """A civil day; refuses days with a part missing or outside 1900 to 2200."""
    try:
        day = date(message.year, message.month, message.day)
    except ValueError:
        raise Malformed.of(
            field,
            "NOT_A_DATE",
            "write a whole date with year, month and day",
            "请填写完整的年、月、日",
        ) from None
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise Malformed.of(
            field,
            "YEAR_OUT_OF_RANGE",
            "write a year from {first} to {last}",
            "请填写 {first} 至 {last} 年",
            first=FIRST_YEAR,
            last=LAST_YEAR,
        )
    return day


def moment_to_wire(moment: datetime) -> Timestamp:
    """An aware moment as a Timestamp, with microseconds."""
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def moment_from_wire(message: Timestamp, field: str) -> datetime:
    """A moment in UTC; refuses a missing moment, as which 1970-01-01T00:00:00Z counts."""
    if not message.seconds and not message.nanos:
        raise Malformed.of(
            field,
            "NOT_A_MOMENT",
            "write a moment, for example {example}",
            "请填写时间, 如 {example}",
            example="2025-07-01T08:30:00Z",
        )
    nanos_ok = 0 <= message.nanos < 1_000_000_000
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
            seconds=message.seconds, microseconds=message.nanos // 1000
        )
    except OverflowError:
        moment = datetime(1, 1, 1, tzinfo=UTC)
    if not nanos_ok or not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise Malformed.of(
            field,
            "YEAR_OUT_OF_RANGE",
            "write a year from {first} to {last}",
            "请填写 {first} 至 {last} 年",
            first=FIRST_YEAR,
            last=LAST_YEAR,
        )
    return moment


def month_to_wire(month: Month) -> type_pb2.Month:
    """A month as a message."""
    return type_pb2.Month(year=month.year, month=month.month)


def month_from_wire(message: type_pb2.Month, field: str) -> Month:
    """A month; refuses missing months and months outside 1900 to 2200."""
    try:
        month = Month(message.year, message.month)
    except ValueError:
        month = Month(1, 1)
    if not FIRST_YEAR <= month.year <= LAST_YEAR:
        raise Malformed.of(
            field,
            "NOT_A_MONTH",
            "write it as year and month, for example 2025 and 7",
            "请填写年和月, 如 2025 和 7",
        )
    return month


def provision_to_wire(provision: Provision) -> type_pb2.Provision:
    """A provision as a message."""
    return type_pb2.Provision(
        instrument=provision.instrument, article=provision.article, tag=provision.tag.value
    )


def finding_to_wire(finding: Finding) -> type_pb2.Finding:
    """A finding with its provision, facts and parameters."""
    return type_pb2.Finding(
        provision=provision_to_wire(finding.provision),
        outcome=type_pb2.Finding.Outcome.Value(finding.outcome.name),
        inputs=[type_pb2.Fact(name=name, value=value) for name, value in finding.inputs],
        outputs=[type_pb2.Fact(name=name, value=value) for name, value in finding.outputs],
        parameters=versions_to_wire(finding.parameters),
        arithmetic=finding.arithmetic,
        text=finding.text,
        text_zh=finding.text_zh,
    )


def versions_to_wire(versions: Iterable[ParameterVersion]) -> list[type_pb2.ParameterVersion]:
    """Values of parameters as messages, in their order."""
    return [
        type_pb2.ParameterVersion(
            name=version.name,
            since_date=date_to_wire(version.since),
            jurisdiction=version.jurisdiction,
            value=version.value,
            source=version.source,
            tag=version.tag.value,
        )
        for version in versions
    ]


def versions_to_json(versions: Iterable[ParameterVersion]) -> list[dict[str, str]]:
    """Values of parameters in the form of a JSONB column."""
    return [
        {
            "name": version.name,
            "since": version.since.isoformat(),
            "in": version.jurisdiction,
            "value": version.value,
            "source": version.source,
            "tag": version.tag.value,
        }
        for version in versions
    ]


def versions_from_json(rows: Iterable[Mapping[str, str]]) -> tuple[ParameterVersion, ...]:
    """The values in what `versions_to_json` returned."""
    return tuple(
        ParameterVersion(
            row["name"],
            date.fromisoformat(row["since"]),
            row["in"],
            row["value"],
            row["source"],
            Tag(row["tag"]),
        )
        for row in rows
    )


def findings_to_wire(findings: Iterable[Finding]) -> list[type_pb2.Finding]:
    """Findings as messages, in their order."""
    return [finding_to_wire(finding) for finding in findings]


def findings_to_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings in the form of a JSONB column."""
    return [
        {
            "provision": [
                finding.provision.instrument,
                finding.provision.article,
                finding.provision.tag.value,
            ],
            "outcome": finding.outcome.name,
            "text": finding.text,
            "text_zh": finding.text_zh,
            "inputs": [list(pair) for pair in finding.inputs],
            "outputs": [list(pair) for pair in finding.outputs],
            "parameters": versions_to_json(finding.parameters),
            "arithmetic": finding.arithmetic,
        }
        for finding in findings
    ]


def findings_from_json(rows: Iterable[Mapping[str, Any]]) -> tuple[Finding, ...]:
    """The findings in what `findings_to_json` returned."""
    return tuple(_finding_from_json(row) for row in rows)


def _finding_from_json(row: Mapping[str, Any]) -> Finding:
    instrument, article, tag = row["provision"]
    return Finding(
        provision=Provision(instrument, article, Tag(tag)),
        outcome=Outcome[row["outcome"]],
        text=row["text"],
        text_zh=row["text_zh"],
        inputs=tuple((name, value) for name, value in row["inputs"]),
        outputs=tuple((name, value) for name, value in row["outputs"]),
        parameters=versions_from_json(row["parameters"]),
        arithmetic=row["arithmetic"],
    )
