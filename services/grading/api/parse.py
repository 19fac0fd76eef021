"""Fields of requests as domain values; each function raises Malformed with the field's name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date

from oip.grading.v1 import grading_pb2
from oip.type.v1.type_pb2 import Access

from services.grading.commands.applications import Applied
from services.grading.domain.appraisals import (
    Applicant,
    Application,
    InjuryKind,
    Recipient,
    Service,
    ServiceMeans,
    State,
)
from services.grading.domain.care import CareItem
from services.grading.domain.conclusions import Correction, CorrectionCode
from services.grading.domain.grades import Impairment
from services.grading.domain.items import Item, search
from services.grading.domain.panels import Exclusion, ExclusionCode, Opinion, Recusal, Specialist
from services.grading.domain.procedure import Absence, AbsenceCode
from services.grading.domain.standard import Standard
from services.kernel import names
from services.kernel.problems import GivenTwice, Malformed, NotFound
from services.kernel.scheme import AppraisalLevel
from services.runtime.rpc.access import caller
from services.runtime.rpc.wire import date_from_wire

# As whom a role applies; the committee enters applications on paper.
APPLICANTS: Mapping[int, Collection[Applicant]] = {
    Access.WORKER_AGENT: (Applicant.WORKER, Applicant.NEXT_OF_KIN),
    Access.PLATFORM: (Applicant.PLATFORM,),
    Access.FUND_OFFICER: (Applicant.AGENCY,),
    Access.APPRAISER: tuple(Applicant),
}


def appraisal_id_of(name: str, field: str = "name") -> str:
    """The id in an appraisal's name."""
    (appraisal_id,) = names.parse(name, "appraisals", field=field)
    return appraisal_id


def states_of(numbers: Iterable[int]) -> list[State]:
    """States of an appraisal, by number."""
    try:
        return [State(number) for number in numbers]
    except ValueError:
        raise Malformed.choice("states", State) from None


def injury_kind_of(number: int) -> InjuryKind | None:
    """The kind of injury, by number; None if it is missing."""
    return InjuryKind(number) if number else None


def specialist_of(request: grading_pb2.RegisterSpecialistRequest) -> Specialist:
    """A specialist to register, by number."""
    number, field = request.specialist_number.strip(), request.field.strip()
    names.parse(request.member, "staffMembers", field="member")
    return Specialist(
        names.id_from(number, "specialist"), number, field, request.provincial, request.member
    )


def specialist_id_of(name: str) -> str:
    """The id in a specialist's name."""
    (specialist_id,) = names.parse(name, "specialists")
    return specialist_id


def exclusion_of(request: grading_pb2.ExcludeSpecialistRequest) -> Exclusion:
    """A specialist who may not sit on a panel, and why."""
    (specialist,) = names.parse(request.specialist, "specialists", field="specialist")
    return Exclusion(specialist, _exclusion_code_of(request.code))


def recusal_of(request: grading_pb2.RecuseSpecialistRequest, member: str) -> Recusal:
    """The recusal of the caller."""
    return Recusal(member, _exclusion_code_of(request.code), request.reason.strip())


def _exclusion_code_of(number: int) -> ExclusionCode:
    try:
        return ExclusionCode(number)
    except ValueError:
        raise Malformed.choice("code", ExclusionCode) from None


def applied_of(request: grading_pb2.OpenAppraisalRequest, today: date) -> Applied:
    """What is applied for; others than the committee apply today."""
    level = AppraisalLevel(request.level)
    is_first = level is AppraisalLevel.FIRST
    if is_first and request.previous:
        raise Malformed.leave_out(
            "previous",
            "FIRST_NAMES_THE_CLAIM",
            "a first appraisal names the claim",
            "首次鉴定只填写申请",
        )
    if not is_first and request.claim:
        raise Malformed.leave_out(
            "claim",
            "LATER_NAMES_THE_CONCLUSION",
            "it follows from the previous conclusion",
            "由前次鉴定结论确定",
        )
    if is_first:
        names.parse(request.claim, "claims", field="claim")
    return Applied(
        level=level,
        claim=request.claim,
        previous="" if is_first else appraisal_id_of(request.previous, "previous"),
        application=_application(request, today),
    )


def _application(request: grading_pb2.OpenAppraisalRequest, today: date) -> Application:
    inability = request.inability.strip()
    if inability and request.applicant != grading_pb2.NEXT_OF_KIN:
        raise Malformed.leave_out(
            "inability", "ONLY_FOR_NEXT_OF_KIN", "only next of kin give it", "仅近亲属申请时填写"
        )
    day = today
    if request.HasField("application_date"):
        day = date_from_wire(request.application_date, "application_date")
    if day > today:
        raise Malformed.of(
            "application_date",
            "IN_THE_FUTURE",
            "write the day on which the application was received, {last} or earlier",
            "请填写收到申请的日期, 不晚于 {last}",
            last=today,
        )
    if day != today and Access.APPRAISER not in caller().roles:
        raise Malformed.leave_out(
            "application_date",
            "ONLY_FOR_COMMITTEE",
            "the committee alone enters an earlier day",
            "只有鉴定委员会可以登记更早的日期",
        )
    return Application(Applicant(request.applicant), day, inability)


def applicants_of(roles: Collection[int]) -> set[Applicant]:
    """As whom an account with these roles may apply."""
    return {applicant for role in roles for applicant in APPLICANTS.get(role, ())}


def absence_of(request: grading_pb2.RecordAbsenceRequest) -> Absence:
    """What kept the panel from its examination."""
    examination = date_from_wire(request.examination_date, "examination_date")
    code = AbsenceCode(request.code or AbsenceCode.ABSENT.value)
    return Absence(examination, code, excused=request.excused)


def service_of(request: grading_pb2.ServeConclusionRequest) -> Service:
    """A service: on whom, how, and when."""
    return Service(
        Recipient(request.recipient),
        ServiceMeans(request.means),
        date_from_wire(request.serve_date, "serve_date"),
    )


def correction_of(request: grading_pb2.CorrectConclusionRequest) -> Correction:
    """What the committee states in the place of a wrong conclusion."""
    return Correction(
        CorrectionCode(request.code),
        request.reason.strip(),
        _impairments(request.impairments),
        _care_items(request.care_items, "care_items"),
    )


def opinion_of(message: grading_pb2.Opinion) -> Opinion:
    """One member's opinion."""
    names.parse(message.specialist, "specialists", field="opinion.specialist")
    return Opinion(
        message.specialist,
        _impairments(message.impairments),
        _care_items(message.care_items, "opinion.care_items"),
    )


def _impairments(messages: Iterable[grading_pb2.Opinion.Impairment]) -> tuple[Impairment, ...]:
    return tuple(_impairment(message) for message in messages)


def _care_items(numbers: Iterable[int], field: str) -> frozenset[CareItem]:
    items = list(numbers)
    if not {item.value for item in CareItem}.issuperset(items):
        raise Malformed.choice(field, CareItem)
    if len(set(items)) != len(items):
        raise GivenTwice.of(field)
    return frozenset(CareItem(number) for number in items)


def _impairment(message: grading_pb2.Opinion.Impairment) -> Impairment:
    """An item, or a family with its measurements."""
    return Impairment(
        message.item,
        message.pre_existing,
        message.worsened,
        message.grade_of_injury_alone,
        message.family,
        tuple((measurement.name, measurement.value) for measurement in message.measurements),
    )


def item_of(name: str, standard: Standard) -> Item:
    """The item with a name; raises NotFound."""
    (number,) = names.parse(name, "impairmentItems")
    item = standard.items.get(number)
    if item is None:
        raise NotFound(name=name)
    return item


def items_of(request: grading_pb2.SearchImpairmentItemsRequest, standard: Standard) -> list[Item]:
    """All items that a search asks for, by number."""
    for field in ("region", "kind"):
        code, known = getattr(request, field), standard.terms[field]
        if code and code not in known:
            raise Malformed.of(
                field,
                "NOT_A_TERM",
                "write one of {choices}, or leave it out",
                "请从以下各项中选择或留空: {choices}",
                choices=tuple(known),
            )
    return search(
        standard.items.values(),
        request.query,
        region=request.region,
        kind=request.kind,
        grade=request.grade,
    )
