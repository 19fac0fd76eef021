"""Requests in, domain values out; a field that cannot be read is refused as Malformed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from enum import Enum
from typing import Any, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from oip.claims.v1 import claims_pb2

from services.claims.domain.case import Enquiry, Exclusion, Judgement
from services.claims.domain.claim import (
    Claim,
    ClaimantKind,
    ClaimState,
    Enrolment,
    Situation,
    require_possible,
)
from services.claims.domain.due_dates import SmallInjury
from services.claims.domain.evidence import Document, DocumentKind
from services.claims.domain.problems import WorkerUnknown
from services.claims.domain.reports import AccidentReport
from services.claims.store.claims import QueueFilter
from services.kernel import names
from services.kernel.identifiers import is_division
from services.kernel.periods import civil_day
from services.kernel.problems import Malformed
from services.kernel.scheme import Industry, Relation, Survivor
from services.runtime.rpc.access import Caller
from services.runtime.rpc.wire import date_from_wire, fen_from_wire, moment_from_wire

E = TypeVar("E", bound=Enum)

TEXT_LENGTH_MAX = 4000
TITLE_LENGTH_MAX = 200
HASH_BYTES = 32
JUDGEMENTS_MAX = 50
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
    text(request.description, "description")
    return AccidentReport(
        id=names.id_from(request.request_id, "accidentReports", caller.scope),
        worker=worker_id(request.worker),
        accident_time=accident,
        place_of_injury=request.place_of_injury,
        platforms=(),
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
    text(request.description, "description")
    accident_report = request.accident_report
    if accident_report:
        (accident_report,) = names.parse(
            accident_report, "accidentReports", field="accident_report"
        )
    return Claim(
        id=names.id_from(request.request_id, "claims", caller.scope),
        claimant_kind=_claimant(request.claimant_kind, caller),
        worker=worker_id(request.worker),
        accident_time=accident,
        place_of_injury=request.place_of_injury,
        situation=one_of(Situation, request.situation or 1, "situation"),
        enrolments=(),
        clock=None,
        create_time=now,
        death_date=death,
        survivors=_survivors(request.survivors, civil_day(now)),
        accident_report=accident_report,
    )


def own_enrolments(
    enrolments: tuple[Enrolment, ...], caller: Caller, worker: str
) -> tuple[Enrolment, ...]:
    """The enrolments, if the caller may act for the worker.

    To a platform, another platform's worker is as unknown as one who does not exist.
    """
    platforms = {enrolment.platform for enrolment in enrolments}
    if caller.is_platform and caller.platform not in platforms:
        raise WorkerUnknown(worker=worker)
    return enrolments


def document(request: claims_pb2.AddEvidenceRequest, caller: Caller, now: datetime) -> Document:
    """A document for a claim."""
    if len(request.content_hash) != HASH_BYTES:
        raise Malformed.of("content_hash", "send the SHA-256 of the document, 32 bytes")
    if len(request.title) > TITLE_LENGTH_MAX:
        raise Malformed.of("title", f"write at most {TITLE_LENGTH_MAX} characters")
    owner = claim_id(request.claim, "claim")
    return Document(
        id=names.id_from(request.request_id, "evidence", owner, caller.scope),
        claim_id=owner,
        kind=one_of(DocumentKind, request.kind, "kind"),
        content_hash=request.content_hash,
        create_time=now,
        title=request.title,
    )


def death(
    request: claims_pb2.RecordDeathRequest, now: datetime
) -> tuple[date, tuple[Survivor, ...]]:
    """A day of death and who was supported."""
    day = date_from_wire(request.death_date, "death_date")
    return day, _survivors(request.survivors, civil_day(now))


def small_injury(request: claims_pb2.AcceptClaimRequest) -> SmallInjury | None:
    """What makes the injury small, if the short path is asked for."""
    if not request.HasField("small_injury"):
        return None
    small = request.small_injury
    return SmallInjury(
        fen_from_wire(small.treatment_cost_fen, "small_injury.treatment_cost_fen"),
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
    )


def enquiry(message: claims_pb2.DetermineClaimRequest.Enquiry) -> Enquiry:
    """What the enquiry found."""
    if message.pooling_area and not is_division(message.pooling_area):
        raise Malformed.of("enquiry.pooling_area", "write a division code of six digits")
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
    answers = tuple(
        Judgement(message.finding, message.met, text(message.reason, "judgements.reason"))
        for message in messages
    )
    if len(answers) > JUDGEMENTS_MAX:
        raise Malformed.of("judgements", f"send at most {JUDGEMENTS_MAX}")
    return answers


def reason(value: str) -> str:
    """A reason, which may not be empty."""
    if not value.strip():
        raise Malformed.of("reason", "give the reason in one sentence")
    return text(value, "reason")


def text(value: str, field: str) -> str:
    """A text of bounded length."""
    if len(value) > TEXT_LENGTH_MAX:
        raise Malformed.of(field, f"write at most {TEXT_LENGTH_MAX:,} characters")
    return value


def one_of(kinds: type[E], number: int, field: str) -> E:
    """The member with this number; refuses a number that is none."""
    try:
        return kinds(number)
    except ValueError:
        choice = ", ".join(kind.name for kind in kinds)
        raise Malformed.of(field, f"choose one of {choice}") from None


def _claimant(number: int, caller: Caller) -> ClaimantKind:
    if caller.is_platform and number in (0, ClaimantKind.PLATFORM.value):
        return ClaimantKind.PLATFORM
    kind = one_of(ClaimantKind, number, "claimant_kind")
    if caller.is_platform:
        raise Malformed.of("claimant_kind", "a platform files for itself; choose PLATFORM")
    return kind


def _survivors(messages: Iterable[claims_pb2.Survivor], today: date) -> tuple[Survivor, ...]:
    survivors, ids = [], set()
    for message in messages:
        survivor = _survivor(message, today)
        survivors.append(survivor)
        ids.add(survivor.survivor_id)
    if len(ids) != len(survivors):
        raise Malformed.of("survivors.survivor_id", "choose a different id for each survivor")
    return tuple(survivors)


def _survivor(message: claims_pb2.Survivor, today: date) -> Survivor:
    (survivor_id,) = names.parse(
        f"survivors/{message.survivor_id}", "survivors", field="survivors.survivor_id"
    )
    birth_date = date_from_wire(message.birth_date, "survivors.birth_date")
    if birth_date > today:
        raise Malformed.of("survivors.birth_date", "lies in the future")
    return Survivor(
        survivor_id=survivor_id,
        relation=one_of(Relation, message.relation, "survivors.relation"),
        birth_date=birth_date,
        totally_disabled=message.totally_disabled,
        alone=message.alone,
        male=message.male,
    )


def _moment(message: Any, field: str) -> datetime | None:
    if not message.HasField(field):
        return None
    value: Timestamp = getattr(message, field)
    return moment_from_wire(value, f"enquiry.{field}")
