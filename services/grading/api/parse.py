"""Fields of requests as domain values; each function raises Malformed with the field's name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from oip.grading.v1 import grading_pb2

from services.grading.domain.appraisals import InjuryKind, State
from services.grading.domain.care import CareItem
from services.grading.domain.grades import Impairment
from services.grading.domain.panels import Opinion
from services.kernel import names
from services.kernel.problems import Malformed
from services.kernel.scheme import AppraisalLevel
from services.runtime.rpc.wire import date_from_wire

IMPAIRMENTS_MAX = 50
EXCLUDED_MAX = 1_000
TEXT_MAX = 2_000
CODE_MAX = 64


def text_of(text: str, field: str, length_max: int = TEXT_MAX) -> str:
    """A text without blanks around it, not empty and not too long."""
    text = text.strip()
    if not 1 <= len(text) <= length_max:
        raise Malformed.of(field, f"write 1 to {length_max:,} characters")
    return text


def appraisal_id_of(name: str, field: str = "name") -> str:
    """The id in an appraisal's name."""
    (appraisal_id,) = names.parse(name, "appraisals", field=field)
    return appraisal_id


def states_of(numbers: Iterable[int]) -> list[State]:
    """States of an appraisal, by number."""
    try:
        return [State(number) for number in numbers]
    except ValueError:
        raise Malformed.of("states", "name states of an appraisal") from None


def level_of(number: int) -> AppraisalLevel:
    """The level of an appraisal, by number."""
    try:
        return AppraisalLevel(number)
    except ValueError:
        raise Malformed.of("level", "write RE_APPRAISAL or REVIEW") from None


def injury_kind_of(number: int) -> InjuryKind | None:
    """The kind of injury, by number; None if it is missing."""
    try:
        return InjuryKind(number) if number else None
    except ValueError:
        raise Malformed.of("injury_kind", "name a kind of injury, or leave it out") from None


def excluded_of(specialists: Sequence[str]) -> list[str]:
    """Names of specialists who are excluded from a panel."""
    if len(specialists) > EXCLUDED_MAX:
        raise Malformed.of("excluded_specialists", f"name at most {EXCLUDED_MAX:,}")
    for index, name in enumerate(specialists):
        names.parse(name, "specialists", field=f"excluded_specialists[{index}]")
    return list(specialists)


def application_date_of(request: grading_pb2.OpenAppraisalRequest, today: date) -> date:
    """The day of the application, today at the latest."""
    day = date_from_wire(request.application_date, "application_date")
    if day > today:
        what = f"write the day of the application, {today} or earlier"
        raise Malformed.of("application_date", what)
    return day


def receive_date_of(request: grading_pb2.OpenAppraisalRequest) -> date | None:
    """The day on which the conclusion was received, if the request has it."""
    if not request.HasField("receive_date"):
        return None
    return date_from_wire(request.receive_date, "receive_date")


def opinion_of(message: grading_pb2.Opinion) -> Opinion:
    """One member's opinion."""
    names.parse(message.specialist, "specialists", field="opinion.specialist")
    if len(message.impairments) > IMPAIRMENTS_MAX:
        raise Malformed.of("opinion.impairments", f"name at most {IMPAIRMENTS_MAX}")
    items = list(message.care_items)
    known = {item.value for item in CareItem}
    if len(set(items)) != len(items) or not known.issuperset(items):
        raise Malformed.of("opinion.care_items", "name each of the five activities once at most")
    return Opinion(
        message.specialist,
        tuple(
            Impairment(
                impairment.item,
                impairment.pre_existing,
                impairment.worsened,
                impairment.grade_of_injury_alone,
                impairment.measure,
            )
            for impairment in message.impairments
        ),
        frozenset(CareItem(number) for number in items),
    )
