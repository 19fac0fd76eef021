"""Requests in, domain values out; a field that cannot be read is refused as Malformed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from enum import Enum
from typing import Any, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from oip.claims.v1 import accidents_pb2, claims_pb2

from services.claims.domain.accidents import AnswerCode, Reasons
from services.claims.domain.case import Enquiry, Exclusion, Judgement
from services.claims.domain.claim import (
    Claim,
    ClaimantKind,
    ClaimState,
    Enrolment,
    Situation,
    require_in_scheme,
    require_possible,
)
from services.claims.domain.due_dates import SmallInjury
from services.claims.domain.evidence import Document, DocumentKind
from services.claims.domain.law import LAW
from services.claims.domain.problems import WorkerUnknown
from services.claims.domain.reports import AccidentReport
from services.claims.store.claims import QueueFilter
from services.claims.store.filings import FilingFilter
from services.kernel import names
from services.kernel.identifiers import is_division
from services.kernel.money import Fen
from services.kernel.problems import Malformed
from services.kernel.scheme import Industry, Survivor
from services.runtime.rpc.access import Caller
from services.runtime.rpc.survivors import survivors_from_wire
from services.runtime.rpc.wire import date_from_wire, moment_from_wire

E = TypeVar("E", bound=Enum)

HASH_BYTES = 32
WORKER_DIGITS_MAX = 18


def claim_id(name: str, field: str = "name") -> str:
    """The id in `claims/{id}`."""
    return names.parse(name, "claims", field=field)[0]


def worker_id(name: str) -> int:
    """The id in `workers/{id}`; raises WorkerUnknown for an id that enrolment never gives."""
    (text,) = names.parse(name, "workers", field="worker")
    if not text.isascii() or not text.isdigit() or len(text) > WORKER_DIGITS_MAX:
        raise WorkerUnknown(worker=name)
    return int(text)


def report(
    request: claims_pb2.ReportAccidentRequest, caller: Caller, now: datetime
) -> AccidentReport:
    """An accident report, but for the worker's platforms."""
    accident = moment_from_wire(request.accident_time, "accident_time")
    require_possible(accident, request.place_of_injury, None, 0, now)
    require_in_scheme(accident, LAW)
    return AccidentReport(
        id=names.id_from(request.request_id, "accidentReports", caller.key),
        worker=worker_id(request.worker),
        accident_time=accident,
        place_of_injury=request.place_of_injury,
        platforms=(caller.platform,) if caller.is_platform else (),
        reported_late=False,
        create_time=now,
    )


def claim(request: claims_pb2.CreateClaimRequest, caller: Caller, now: datetime) -> Claim:
    """A claim as filed, but for the worker's platforms and its clock."""
    accident = moment_from_wire(request.accident_time, "accident_time")
    death = (
        date_from_wire(request.death_date, "death_date") if request.HasField("death_date") else None
    )
    require_possible(accident, request.place_of_injury, death, len(request.survivors), now)
    require_in_scheme(accident, LAW)
    accident_report = request.accident_report
    if accident_report:
        (accident_report,) = names.parse(
            accident_report, "accidentReports", field="accident_report"
        )
    return Claim(
        id=names.id_from(request.request_id, "claims", caller.key),
        claimant_kind=_claimant(request.claimant_kind, caller),
        worker=worker_id(request.worker),
        accident_time=accident,
        place_of_injury=request.place_of_injury,
        situation=one_of(Situation, request.situation or 1, "situation"),
        enrolments=(),
        clock=None,
        create_time=now,
        death_date=death,
        survivors=survivors_from_wire(request.survivors),
        accident_report=accident_report,
        filed_by=caller.platform if caller.is_platform else "",
    )


def own_enrolments(
    enrolments: tuple[Enrolment, ...], caller: Caller, worker: str
) -> tuple[Enrolment, ...]:
    """The enrolments, if the caller may act for the worker.

    To a platform, another platform's worker is as unknown as one who does not exist; to an agent,
    any but its own person.
    """
    if caller.person and caller.person != worker:
        raise WorkerUnknown(worker=worker)
    platforms = {enrolment.platform for enrolment in enrolments}
    if caller.is_platform and caller.platform not in platforms:
        raise WorkerUnknown(worker=worker)
    return enrolments


def document(request: claims_pb2.AddEvidenceRequest, caller: Caller, now: datetime) -> Document:
    """A document for a claim."""
    if len(request.content_hash) != HASH_BYTES:
        raise Malformed.of(
            "content_hash",
            "NOT_A_HASH",
            "give the 32 bytes of the SHA-256 of the document",
            "请提供文件的 SHA-256 (32 字节)",
        )
    owner = claim_id(request.claim, "claim")
    return Document(
        id=names.id_from(request.request_id, "evidence", owner, caller.key),
        claim_id=owner,
        kind=one_of(DocumentKind, request.kind, "kind"),
        content_hash=request.content_hash,
        create_time=now,
        title=request.title,
        platform=caller.platform if caller.is_platform else "",
    )


def death(
    request: claims_pb2.RecordDeathRequest,
) -> tuple[date, tuple[Survivor, ...]]:
    """A day of death and who was supported."""
    day = date_from_wire(request.death_date, "death_date")
    return day, survivors_from_wire(request.survivors)


def small_injury(request: claims_pb2.AcceptClaimRequest) -> SmallInjury | None:
    """What makes the injury small, if the short path is asked for."""
    if not request.HasField("small_injury"):
        return None
    small = request.small_injury
    return SmallInjury(
        Fen(small.treatment_cost_fen),
        small.hospital_stay,
        small.appraisal_expected,
    )


def queue_filter(request: claims_pb2.ListClaimsRequest) -> QueueFilter:
    """Which claims of the queue to list."""
    has_due_by = request.HasField("due_by_date")
    return QueueFilter(
        states=[one_of(ClaimState, number, "states") for number in request.states],
        worker=worker_id(request.worker) if request.worker else None,
        due_by=date_from_wire(request.due_by_date, "due_by_date") if has_due_by else None,
        pooling_area=request.pooling_area,
        newest_first=request.newest_first,
    )


def filing_filter(request: accidents_pb2.ListFilingsRequest) -> FilingFilter:
    """Which filings to list."""
    owner = claim_id(request.claim, "claim") if request.claim else ""
    return FilingFilter(owner, request.open_only)


def reasons(
    request: accidents_pb2.AnswerFilingRequest | accidents_pb2.MergeClaimsRequest,
) -> Reasons:
    """Why filings are about one accident or two."""
    return Reasons(one_of(AnswerCode, request.code, "code"), request.reason)


def enquiry(message: claims_pb2.DetermineClaimRequest.Enquiry) -> Enquiry:
    """What the enquiry found."""
    if message.pooling_area and not is_division(message.pooling_area):
        raise Malformed.of(
            "enquiry.pooling_area",
            "NOT_A_DIVISION",
            "write a division code of six digits, such as 440106",
            "请填写六位行政区划代码, 如 440106",
        )
    return Enquiry(
        harm_established=message.harm_established,
        exclusions=frozenset(
            one_of(Exclusion, number, "enquiry.exclusions") for number in message.exclusions
        ),
        blood_alcohol=message.blood_alcohol_mg_per_100ml,
        disability_expected=message.disability_expected,
        first_diagnosis_time=_moment(message, "first_diagnosis_time"),
        death_time=_moment(message, "death_time"),
        spot_or_direct=message.spot_or_direct,
        traffic_mainly_own_fault=message.traffic_mainly_own_fault,
        travel_required=message.travel_required,
        order_records_withheld=message.order_records_withheld,
        served_order=message.served_order,
        pooling_area=message.pooling_area,
        industry=one_of(Industry, message.industry, "enquiry.industry")
        if message.industry
        else None,
        labour_relationship=message.labour_relationship,
    )


def judgements(
    messages: Iterable[claims_pb2.DetermineClaimRequest.Judgement],
) -> tuple[Judgement, ...]:
    """The adjudicator's answers."""
    return tuple(Judgement(message.finding, message.met, message.reason) for message in messages)


def one_of(kinds: type[E], number: int, field: str) -> E:
    """The member with this number; refuses a number that is none."""
    try:
        return kinds(number)
    except ValueError:
        raise Malformed.choice(field, kinds) from None


def _claimant(number: int, caller: Caller) -> ClaimantKind:
    if caller.is_platform and number in (0, ClaimantKind.PLATFORM.value):
        return ClaimantKind.PLATFORM
    kind = one_of(ClaimantKind, number, "claimant_kind")
    if caller.is_platform:
        raise Malformed.of(
            "claimant_kind",
            "PLATFORM_FILES_FOR_ITSELF",
            "a platform files for itself; choose {choice}",
            "平台企业只能以自身名义申请; 请选择{choice}",
            choice=ClaimantKind.PLATFORM,
        )
    return kind


def _moment(message: Any, field: str) -> datetime | None:
    if not message.HasField(field):
        return None
    value: Timestamp = getattr(message, field)
    return moment_from_wire(value, f"enquiry.{field}")
