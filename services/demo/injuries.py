"""Claims, appraisals and benefits of the month's accidents, step by step."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from oip.benefits.v1 import benefits_pb2, benefits_pb2_grpc
from oip.claims.v1 import accidents_pb2, accidents_pb2_grpc, claims_pb2, claims_pb2_grpc
from oip.grading.v1 import grading_pb2, grading_pb2_grpc
from oip.staff.v1 import staff_pb2, staff_pb2_grpc

from services.demo.actors import Actors
from services.demo.cases import Accident
from services.demo.staff import specialist_account
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
REPORTED_LATER = timedelta(minutes=10)
ALCOHOL_MG_PER_100ML = 132
HOSPITAL = "First Hospital"
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
    filed: list[Filed] = []
    for accident in accidents:
        others = [case.claim for case in filed if case.accident.trip.worker == accident.trip.worker]
        filed.append(await _file(actors, accident, workers[accident.trip.worker], others))
        done()
    return filed


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
                    judgements=_judgements(case.accident),
                )
            )
        done()


async def conclude_appraisals(actors: Actors, filed: list[Filed], done: Progress) -> None:
    """Apply for each invited appraisal, draw its panel, record its opinions, and conclude."""
    grading = actors.at(grading_pb2_grpc.GradingServiceStub, "grading", "appraiser")
    actors.set_clock(actors.calendar.at(*PANEL))
    accounts = {}
    for number, field in enumerate(SPECIALISTS, 1):
        account = specialist_account(number)
        register = actors.at(staff_pb2_grpc.StaffServiceStub, "staff", "specialist", person=account)
        person = await register.GetOwnStaffMember(staff_pb2.GetOwnStaffMemberRequest())
        accounts[person.name] = account
        await grading.RegisterSpecialist(
            grading_pb2.RegisterSpecialistRequest(
                request_id=actors.request_id("specialist", number),
                specialist_number=f"S{number:03d}",
                field=field,
                member=person.name,
            )
        )
    by_claim = {case.claim: case.accident for case in filed}
    await _apply(actors)
    opened = await grading.ListAppraisals(grading_pb2.ListAppraisalsRequest(page_size=1000))
    for appraisal in sorted(opened.appraisals, key=lambda appraisal: appraisal.name):
        accident = by_claim.get(appraisal.claim)
        if accident is not None:
            await _appraise(actors, appraisal.name, accident, accounts)
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
                    institution=HOSPITAL,
                    bill_number=actors.request_id("bill", case.claim),
                )
            )
        done()


async def _file(actors: Actors, accident: Accident, worker: int, others: list[str]) -> Filed:
    name = f"workers/{worker}"
    claims = actors.at(claims_pb2_grpc.ClaimServiceStub, "claims", "worker_agent", worker=name)
    key = accident.title.replace(" ", "-")
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
    if accident.filed_by_platform:
        await _file_by_platform(actors, accident, key, name)
    if others:
        await _answer_distinct(actors, accident, key, claim.name, others)
    actors.set_clock(accident.moment + timedelta(hours=44))
    adjudicator = actors.at(claims_pb2_grpc.ClaimServiceStub, "claims", "adjudicator")
    await adjudicator.AcceptClaim(
        claims_pb2.AcceptClaimRequest(request_id=actors.request_id("accept", key), name=claim.name)
    )
    return Filed(accident, claim.name)


async def _file_by_platform(actors: Actors, accident: Accident, key: str, worker: str) -> None:
    """The platform reports the accident minutes later than the worker; its filing joins."""
    actors.set_clock(accident.moment + timedelta(hours=21))
    platform = accident.trip.platform
    claims = actors.at(claims_pb2_grpc.ClaimServiceStub, "claims", "platform", platform=platform)
    await claims.CreateClaim(
        claims_pb2.CreateClaimRequest(
            request_id=actors.request_id("claim", key, "platform"),
            claimant_kind=claims_pb2.PLATFORM,
            worker=worker,
            accident_time=moment_to_wire(accident.moment + REPORTED_LATER),
            place_of_injury=accident.trip.place,
            situation=claims_pb2.ORDER_EXECUTION,
            description="Our rider fell at a crossing.",
        )
    )


async def _answer_distinct(
    actors: Actors, accident: Accident, key: str, filing: str, others: list[str]
) -> None:
    """An adjudicator finds the accident distinct from the worker's other one of the day."""
    actors.set_clock(accident.moment + timedelta(hours=22))
    accidents = actors.at(accidents_pb2_grpc.AccidentServiceStub, "claims", "adjudicator")
    await accidents.AnswerFiling(
        accidents_pb2.AnswerFilingRequest(
            request_id=actors.request_id("distinct", key),
            name=filing,
            answer=accidents_pb2.DISTINCT,
            code=accidents_pb2.TWO_EVENTS,
            reason="The traffic police recorded two collisions.",
            distinct_from=others,
        )
    )


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
            supported=True,
            support_document_hash=hashlib.sha256(f"support of {survivor}".encode()).digest(),
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


def _judgements(accident: Accident) -> list[claims_pb2.DetermineClaimRequest.Judgement]:
    """What the law leaves to a person in these cases."""
    judgement = claims_pb2.DetermineClaimRequest.Judgement
    answers = []
    if accident.drunk:
        why = "The driver lost control on an empty road."
        answers.append(judgement(finding="intoxication", met=True, reason=why))
    if accident.app_closed:
        why = "The app was closed; the next order came later."
        answers.append(judgement(finding="order_execution", met=False, reason=why))
    return answers


async def _apply(actors: Actors) -> None:
    """Each worker whose determination invites it applies for an appraisal."""
    grading = actors.at(grading_pb2_grpc.GradingServiceStub, "grading", "appraiser")
    invited = await grading.ListInvitations(grading_pb2.ListInvitationsRequest(page_size=1000))
    for invitation in invited.invitations:
        own = actors.at(
            grading_pb2_grpc.GradingServiceStub,
            "grading",
            "worker_agent",
            worker=invitation.worker,
        )
        await own.OpenAppraisal(
            grading_pb2.OpenAppraisalRequest(
                request_id=actors.request_id("apply", invitation.claim),
                claim=invitation.claim,
                level=grading_pb2.Appraisal.FIRST,
                applicant=grading_pb2.WORKER,
            )
        )


async def _appraise(
    actors: Actors, name: str, accident: Accident, accounts: Mapping[str, str]
) -> None:
    """Appraise one injury; `accounts` has the account of each specialist by person."""
    grading = actors.at(grading_pb2_grpc.GradingServiceStub, "grading", "appraiser")
    actors.set_clock(actors.calendar.at(*PANEL))
    drawn = await grading.DrawPanel(
        grading_pb2.DrawPanelRequest(request_id=actors.request_id("panel", name), name=name)
    )
    for specialist in drawn.panel:
        own = actors.at(
            grading_pb2_grpc.GradingServiceStub,
            "grading",
            "specialist",
            person=accounts[specialist.member],
        )
        await own.RecordOpinion(
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
    await grading.ServeConclusion(
        grading_pb2.ServeConclusionRequest(
            request_id=actors.request_id("serve", name),
            name=name,
            recipient=grading_pb2.RECIPIENT_WORKER,
            means=grading_pb2.HANDED_OVER,
            serve_date=date_to_wire(civil_day(actors.calendar.at(*CONCLUDED))),
        )
    )
