"""The page of a claim: its clock, people, time line, documents, alerts, findings, history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from oip.benefits.v1 import benefits_pb2, benefits_pb2_grpc
from oip.claims.v1 import accidents_pb2, accidents_pb2_grpc, claims_pb2, claims_pb2_grpc
from oip.enrolment.v1 import enrolment_pb2, enrolment_pb2_grpc
from oip.grading.v1 import grading_pb2, grading_pb2_grpc
from oip.operations.v1 import operations_pb2, operations_pb2_grpc
from starlette.responses import Response

from services.console.clock_picture import clock_picture
from services.console.pages import ADJUDICATOR, FUND_OFFICER, PLATFORM, Page
from services.console.pictures import order_time_line
from services.console.steps import done_text
from services.console.texts import Text
from services.console.values import Cell, Formatter, moment_text, name_cell, text_cell
from services.console.views.claim_steps import ANSWERS, STEPS
from services.console.views.claims_queue import days_left, marks_of, state_of
from services.console.views.determination import DETERMINE
from services.console.visit import Visit, or_none, together
from services.kernel.periods import SHANGHAI

State = claims_pb2.Claim.State
HISTORY_SHOWN = 100
_BEFORE_END = (
    State.FILED,
    State.EVIDENCE_REQUESTED,
    State.ACCEPTED,
    State.STAYED,
    State.PENDING,
)
_STANDING = (*_BEFORE_END[:-1], State.DETERMINED)
# The steps that a state leads to: the address, the label, whether it is the usual next one.
_OFFERS: tuple[tuple[tuple[int, ...], str, Text, bool], ...] = (
    ((State.FILED, State.EVIDENCE_REQUESTED), "accept", ("Accept", "受理"), True),
    ((State.FILED,), "request", ("Request documents", "补正告知"), False),
    ((State.ACCEPTED,), "determine", ("Determine", "作出结论"), True),
    ((State.ACCEPTED,), "stay", ("Stop the time limit", "中止时限"), False),
    ((State.STAYED,), "resume", ("Let the time limit run", "恢复时限"), True),
    ((State.PENDING,), "answer", ("Answer: same accident?", "判断是否同一事故"), True),
    (_BEFORE_END, "document", ("Add a document", "添加材料"), False),
    (_BEFORE_END, "death", ("Record a death", "登记死亡"), False),
    (_STANDING, "merge", ("Merge another claim into it", "并入其他申请"), False),
    ((State.DETERMINED,), "serve", ("Record the service", "登记送达"), True),
    ((State.DETERMINED,), "revoke", ("Withdraw the determination", "撤销结论"), False),
)


@dataclass(frozen=True)
class Entry:
    """A line of the history, in label."""

    moment: str
    text: str
    who: str
    href: str = ""


async def page(visit: Visit) -> Response:
    """The claim with all that belongs to it."""
    name = f"claims/{visit.path('id')}"
    claims = visit.stub(claims_pb2_grpc.ClaimServiceStub, "claims")
    claim = await claims.GetClaim(claims_pb2.GetClaimRequest(name=name))
    accidents = visit.stub(accidents_pb2_grpc.AccidentServiceStub, "claims")
    operations = visit.stub(operations_pb2_grpc.OperationsServiceStub, "claims")
    enrolment = visit.stub(enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment")
    evidence, filings, determinations, history, worker, appraisals, awards = await together(
        claims.ListEvidence(claims_pb2.ListEvidenceRequest(claim=name, page_size=1000)),
        accidents.ListFilings(accidents_pb2.ListFilingsRequest(claim=name, page_size=100)),
        claims.ListDeterminations(claims_pb2.ListDeterminationsRequest(claim=name, page_size=100)),
        operations.ListHistory(
            operations_pb2.ListHistoryRequest(name=name, page_size=HISTORY_SHOWN)
        ),
        enrolment.GetWorker(enrolment_pb2.GetWorkerRequest(name=claim.worker)),
        _appraisals(visit, name),
        _awards(visit, name),
    )
    moment = claim.accident_time.ToDatetime(SHANGHAI)
    return visit.page(
        "claim.html",
        claim=claim,
        number=visit.path("id"),
        state=state_of(visit, claim),
        left=days_left(visit, claim),
        marks=marks_of(visit, claim),
        accident=_accident(visit, claim),
        worker=worker,
        evidence=list(evidence.evidence) if evidence else [],
        filings=list(filings.filings) if filings else [],
        determinations=list(determinations.determinations)[::-1] if determinations else [],
        history=_history(visit, history),
        appraisals=appraisals or [],
        awards=awards or [],
        line=order_time_line(list(claim.orders), moment),
        clock=clock_picture(claim.time_limit, visit.today) if claim.step else None,
        offers=_offers(visit, claim),
        done=done_text(visit, (*STEPS.values(), *ANSWERS, DETERMINE)),
    )


async def _appraisals(visit: Visit, claim: str) -> list[Any]:
    stub = visit.stub(grading_pb2_grpc.GradingServiceStub, "grading")
    request = grading_pb2.ListAppraisalsRequest(claim=claim, page_size=100)
    answer = await or_none(stub.ListAppraisals(request))
    return list(answer.appraisals) if answer else []


async def _awards(visit: Visit, claim: str) -> list[Any]:
    stub = visit.stub(benefits_pb2_grpc.BenefitServiceStub, "benefits")
    answer = await or_none(
        stub.ListAwards(benefits_pb2.ListAwardsRequest(claim=claim, page_size=100))
    )
    return list(answer.awards) if answer else []


def _offers(visit: Visit, claim: Any) -> list[tuple[str, str, bool]]:
    if not visit.has_role("adjudicator"):
        return []
    number = claim.name.rpartition("/")[2]
    has_service = claim.determination.HasField("service_date")
    return [
        (f"/claims/{number}/{step}", visit.say(*label), is_next)
        for states, step, label, is_next in _OFFERS
        if claim.state in states and not (step == "serve" and has_service)
    ]


def _accident(visit: Visit, claim: Any) -> list[tuple[str, Cell]]:
    formatter = Formatter(visit.language)
    return [
        (visit.say("When", "事故时间"), text_cell(moment_text(claim.accident_time))),
        (
            visit.say("Where (division code)", "受伤地（区划代码）"),
            text_cell(claim.place_of_injury),
        ),
        (visit.say("Situation claimed", "申请情形"), formatter.of(claim, "situation")),
        (visit.say("Claimant", "申请人"), formatter.of(claim, "claimant_kind")),
        (visit.say("Day of death", "死亡日期"), formatter.of(claim, "death_date")),
        (visit.say("What happened", "事故经过"), text_cell(claim.description)),
        (visit.say("Reported", "报案时间"), text_cell(moment_text(claim.report_time))),
        (visit.say("Filed", "申请时间"), text_cell(moment_text(claim.create_time))),
        (visit.say("Pooling area charged", "承担统筹地区"), text_cell(claim.pooling_area)),
        (visit.say("Industry", "行业"), formatter.of(claim, "industry")),
        (visit.say("Accident report", "报案"), name_cell(claim.accident_report)),
        (visit.say("Part of", "已并入"), name_cell(claim.merged_into)),
    ]


_ACTIONS: dict[str, Text] = {
    "CreateClaim": ("The claim was filed.", "提交申请"),
    "ReportAccident": ("The accident was reported.", "报案"),
    "AddEvidence": ("A document was added.", "添加材料"),
    "AcceptClaim": ("The claim was accepted.", "受理"),
    "RequestEvidence": ("Missing documents were requested.", "补正告知"),
    "StayClaim": ("The time limit was stopped.", "中止时限"),
    "ResumeClaim": ("The time limit runs again.", "恢复时限"),
    "DetermineClaim": ("The claim was determined.", "作出结论"),
    "RecordService": ("The service was recorded.", "登记送达"),
    "RevokeDetermination": ("The determination was withdrawn.", "撤销结论"),
    "RecordDeath": ("A death was recorded.", "登记死亡"),
    "AnswerFiling": ("A filing was answered.", "判断申请件"),
    "ContestFiling": ("A party contested.", "提出异议"),
    "MergeClaims": ("Claims were merged.", "合并申请"),
    "SignAct": ("An act was signed.", "复核签批"),
}


def _history(visit: Visit, history: Any) -> list[Entry]:
    entries = []
    for each in history.entries if history else ():
        action = each.action.rpartition(".")[2].removesuffix("Request")
        label = _ACTIONS.get(action, (action, action))
        who = each.subject if not each.asking_service else f"{each.subject} ({each.asking_service})"
        entries.append(Entry(moment_text(each.create_time), visit.say(*label), who))
    return entries


PAGES = (Page("/claims/{id}", page, ADJUDICATOR | PLATFORM | FUND_OFFICER),)
