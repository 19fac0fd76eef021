"""Claims, appraisals and benefits of the month's accidents, step by step."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from oip.benefits.v1 import benefits_pb2, benefits_pb2_grpc
from oip.claims.v1 import claims_pb2, claims_pb2_grpc
from oip.grading.v1 import grading_pb2, grading_pb2_grpc

from services.demo.actors import Actors
from services.demo.cases import Accident
from services.kernel.periods import civil_day
from services.runtime.rpc.wire import date_to_wire, enum_number, moment_to_wire

Progress = Callable[[], None]

# Day of the month and hour, in Asia/Shanghai. Accidents after LAST_ACCIDENT_DAY would not be
# determined within the month.
LAST_ACCIDENT_DAY = 14
DETERMINED = (21, 10)
PANEL = (24, 9)
CONCLUDED = (30, 15)
BILLS = (31, 9)
ALCOHOL_MG_PER_100ML = 132
SPECIALISTS = ("bones and joints", "nerves", "eyes", "surgery", "rehabilitation", "ears")


@dataclass(frozen=True)
class Filed:
    """An accident with the claim that was filed for it."""

    accident: Accident
    claim: str


async def file_claims(
    actors: Actors, accidents: list[Accident], workers: Mapping[str, int], done: Progress
) -> list[Filed]:
    """Report each accident, file the claim, add the documents, and accept it."""
    return [
        await _file(actors, accident, workers[accident.trip.worker], done) for accident in accidents
    ]


async def determine_claims(actors: Actors, filed: list[Filed], done: Progress) -> None:
    """Determine each claim from its orders and documents."""
    claims = actors.at(claims_pb2_grpc.ClaimServiceStub, "claims", "adjudicator")
    for number, case in enumerate(filed):
        actors.set_clock(actors.calendar.at(*DETERMINED) + timedelta(minutes=20 * number))
        claim = await claims.GetClaim(claims_pb2.GetClaimRequest(name=case.claim))
        if claim.state == claims_pb2.Claim.ACCEPTED:
            await claims.DetermineClaim(
                claims_pb2.DetermineClaimRequest(
                    request_id=actors.request_id("determine", case.claim),
                    name=case.claim,
                    revision=claim.revision,
                    enquiry=_enquiry(case.accident),
                )
            )
        done()


async def conclude_appraisals(actors: Actors, filed: list[Filed], done: Progress) -> None:
    """Draw a panel for each open appraisal, record its opinions, and conclude."""
    grading = actors.at(grading_pb2_grpc.GradingServiceStub, "grading", "appraiser")
    actors.set_clock(actors.calendar.at(*PANEL))
    for number, field in enumerate(SPECIALISTS, 1):
        await grading.RegisterSpecialist(
            grading_pb2.RegisterSpecialistRequest(
                request_id=actors.request_id("specialist", number),
                specialist_number=f"S{number:03d}",
                field=field,
            )
        )
    by_claim = {case.claim: case.accident for case in filed}
    opened = await grading.ListAppraisals(grading_pb2.ListAppraisalsRequest(page_size=1000))
    for appraisal in sorted(opened.appraisals, key=lambda appraisal: appraisal.name):
        accident = by_claim.get(appraisal.claim)
        if accident is not None:
            await _appraise(actors, appraisal.name, accident)
        done()


async def grant_expenses(actors: Actors, filed: list[Filed], done: Progress) -> None:
    """Submit the bill for the treatment of every confirmed injury."""
    actors.set_clock(actors.calendar.at(*BILLS))
    claims = actors.at(claims_pb2_grpc.ClaimServiceStub, "claims", "adjudicator")
    benefits = actors.at(benefits_pb2_grpc.BenefitServiceStub, "benefits", "fund_officer")
    for case in filed:
        claim = await claims.GetClaim(claims_pb2.GetClaimRequest(name=case.claim))
        confirmed = claim.determination.outcome == claims_pb2.Determination.CONFIRMED
        if confirmed and case.accident.treatment_fen:
            await benefits.GrantExpense(
                benefits_pb2.GrantExpenseRequest(
                    request_id=actors.request_id("treatment", case.claim),
                    claim=case.claim,
                    kind=benefits_pb2.MEDICAL_BENEFIT,
                    expense_date=date_to_wire(civil_day(case.accident.moment)),
                    allowed_cost_fen=case.accident.treatment_fen,
                )
            )
        done()


async def _file(actors: Actors, accident: Accident, worker: int, done: Progress) -> Filed:
    claims = actors.at(claims_pb2_grpc.ClaimServiceStub, "claims", "worker_agent")
    key = accident.title.replace(" ", "-")
    name = f"workers/{worker}"
    actors.set_clock(accident.moment + timedelta(minutes=25))
    report = await claims.ReportAccident(
        claims_pb2.ReportAccidentRequest(
            request_id=actors.request_id("report", key),
            worker=name,
            accident_time=moment_to_wire(accident.moment),
            place_of_injury=accident.trip.place,
            description="Collision at a crossing.",
        )
    )
    actors.set_clock(accident.moment + timedelta(hours=20))
    claim = await claims.CreateClaim(_claim_request(actors, accident, key, name, report.name))
    for kind, title in _documents(accident):
        await claims.AddEvidence(
            claims_pb2.AddEvidenceRequest(
                request_id=actors.request_id("document", key, kind),
                claim=claim.name,
                kind=enum_number(kind),
                title=title,
                content_hash=hashlib.sha256(f"{key} {title}".encode()).digest(),
            )
        )
    actors.set_clock(accident.moment + timedelta(hours=44))
    adjudicator = actors.at(claims_pb2_grpc.ClaimServiceStub, "claims", "adjudicator")
    await adjudicator.AcceptClaim(
        claims_pb2.AcceptClaimRequest(request_id=actors.request_id("accept", key), name=claim.name)
    )
    done()
    return Filed(accident, claim.name)


def _claim_request(
    actors: Actors, accident: Accident, key: str, worker: str, report: str
) -> claims_pb2.CreateClaimRequest:
    died = accident.moment + timedelta(hours=9)
    kin = claims_pb2.NEXT_OF_KIN if accident.fatal else claims_pb2.WORKER
    request = claims_pb2.CreateClaimRequest(
        request_id=actors.request_id("claim", key),
        accident_report=report,
        claimant_kind=kin,
        worker=worker,
        accident_time=moment_to_wire(accident.moment),
        place_of_injury=accident.trip.place,
        situation=claims_pb2.ORDER_EXECUTION,
        description="Hurt in a collision while delivering.",
        survivors=_survivors() if accident.fatal else [],
    )
    if accident.fatal:
        request.death_date.CopyFrom(date_to_wire(civil_day(died)))
    return request


def _survivors() -> list[claims_pb2.Survivor]:
    kin = (
        ("spouse", claims_pb2.Survivor.SPOUSE, date(1969, 5, 2), True),
        ("child-1", claims_pb2.Survivor.CHILD, date(2014, 9, 17), False),
        ("child-2", claims_pb2.Survivor.CHILD, date(2019, 2, 28), True),
    )
    return [
        claims_pb2.Survivor(
            survivor_id=survivor,
            relation=relation,
            birth_date=date_to_wire(born),
            male=male,
            # A spouse below the age of support is supported only if wholly unable to work.
            totally_disabled=survivor == "spouse",
        )
        for survivor, relation, born, male in kin
    ]


def _documents(accident: Accident) -> list[tuple[int, str]]:
    documents: list[tuple[int, str]] = [
        (claims_pb2.Evidence.DIAGNOSIS, "diagnosis"),
        (claims_pb2.Evidence.TRAFFIC_CERTIFICATE, "certificate of the traffic police"),
    ]
    if accident.drunk:
        documents.append((claims_pb2.Evidence.INTOXICATION_REPORT, "blood test"))
    if accident.fatal:
        documents.append((claims_pb2.Evidence.DEATH_CERTIFICATE, "death certificate"))
        documents.append((claims_pb2.Evidence.KINSHIP_PROOF, "household register"))
    return documents


def _enquiry(accident: Accident) -> claims_pb2.DetermineClaimRequest.Enquiry:
    request = claims_pb2.DetermineClaimRequest
    return request.Enquiry(
        harm_established=True,
        exclusions=[request.INTOXICATION] if accident.drunk else [],
        blood_alcohol_mg_per_100ml=ALCOHOL_MG_PER_100ML if accident.drunk else 0,
        disability_expected=bool(accident.impairment),
    )


async def _appraise(actors: Actors, name: str, accident: Accident) -> None:
    grading = actors.at(grading_pb2_grpc.GradingServiceStub, "grading", "appraiser")
    actors.set_clock(actors.calendar.at(*PANEL))
    drawn = await grading.DrawPanel(
        grading_pb2.DrawPanelRequest(request_id=actors.request_id("panel", name), name=name)
    )
    for specialist in drawn.panel:
        await grading.RecordOpinion(
            grading_pb2.RecordOpinionRequest(
                request_id=actors.request_id("opinion", name, specialist.name),
                name=name,
                opinion=grading_pb2.Opinion(
                    specialist=specialist.name,
                    impairments=[grading_pb2.Opinion.Impairment(item=accident.impairment)],
                    care_items=[enum_number(item) for item in range(1, accident.care_items + 1)],
                ),
            )
        )
    actors.set_clock(actors.calendar.at(*CONCLUDED))
    appraisal = await grading.GetAppraisal(grading_pb2.GetAppraisalRequest(name=name))
    if appraisal.state == grading_pb2.Appraisal.PANEL_DRAWN:
        await grading.ConcludeAppraisal(
            grading_pb2.ConcludeAppraisalRequest(
                request_id=actors.request_id("conclude", name),
                name=name,
                revision=appraisal.revision,
            )
        )
