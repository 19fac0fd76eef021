from datetime import UTC, date, datetime

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.type import date_pb2
from oip.type.v1 import type_pb2

from services.kernel.law import Finding, Outcome, ParameterVersion, Provision, Tag, facts
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.kernel.problems import Malformed
from services.runtime.rpc import wire

A_FINDING = Finding(
    provision=Provision("人社厅函〔2025〕79号", "第三十八条第(二)项", Tag.LAW),
    outcome=Outcome.CALCULATED,
    text="Grade 3 gives 23 months of the benefit base.",
    text_zh="三级伤残为23个月计发基数。",
    inputs=facts(grade=3, base=Fen(347380)),
    outputs=facts(amount=Fen(7989740)),
    parameters=(
        ParameterVersion(
            "disability_grant_months", date(2025, 7, 1), "CN", "23", "人社厅函〔2025〕79号", Tag.LAW
        ),
    ),
    arithmetic="347380 fen x 23 = 7989740 fen",
)


def test_a_day_comes_back_as_it_went() -> None:
    day = date(2024, 2, 29)

    assert wire.date_from_wire(wire.date_to_wire(day), "service_date") == day


@pytest.mark.parametrize(
    ("year", "month", "day"), [(0, 0, 0), (2025, 2, 29), (2025, 7, 0), (1800, 1, 1), (-1, 1, 1)]
)
def test_a_day_that_is_not_one_is_refused_with_its_field(year: int, month: int, day: int) -> None:
    message = date_pb2.Date(year=year, month=month, day=day)

    with pytest.raises(Malformed) as refusal:
        wire.date_from_wire(message, "service_date")

    assert refusal.value.field == "service_date"


def test_a_moment_comes_back_as_it_went() -> None:
    moment = datetime(2025, 7, 31, 15, 59, 59, 123456, tzinfo=UTC)

    assert wire.moment_from_wire(wire.moment_to_wire(moment), "accident_time") == moment


@pytest.mark.parametrize(
    ("seconds", "nanos"), [(0, 0), (2**62, 0), (-(2**62), 0), (1, -5), (1, 2_000_000_000)]
)
def test_a_moment_out_of_range_is_refused(seconds: int, nanos: int) -> None:
    with pytest.raises(Malformed):
        wire.moment_from_wire(Timestamp(seconds=seconds, nanos=nanos), "accident_time")


def test_a_month_comes_back_as_it_went() -> None:
    assert wire.month_from_wire(wire.month_to_wire(Month(2025, 7)), "month") == Month(2025, 7)


@pytest.mark.parametrize(("year", "month"), [(0, 0), (2025, 13), (2025, 0), (99999, 1)])
def test_a_month_that_is_not_one_is_refused(year: int, month: int) -> None:
    with pytest.raises(Malformed, match="month"):
        wire.month_from_wire(type_pb2.Month(year=year, month=month), "month")


def test_findings_come_back_from_json_as_they_went() -> None:
    rows = wire.findings_to_json([A_FINDING, A_FINDING])

    assert wire.findings_from_json(rows) == (A_FINDING, A_FINDING)


def test_a_finding_on_the_wire_names_its_provision_parameters_and_arithmetic() -> None:
    message = wire.finding_to_wire(A_FINDING)

    assert message.provision.article == "第三十八条第(二)项"
    assert message.outcome == type_pb2.Finding.CALCULATED
    assert [fact.value for fact in message.inputs] == ["3", "347380 fen"]
    assert message.parameters[0].since_date == date_pb2.Date(year=2025, month=7, day=1)
    assert message.arithmetic == "347380 fen x 23 = 7989740 fen"
