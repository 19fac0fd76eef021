"""For every method on records of somebody: the fields that name the record, and its mark.

The mark is what an answer of a reading method contains if and only if it shows the record; it is
None for a change, whose refusal tells whether the record was reached.
"""

from __future__ import annotations

from datetime import date
from hashlib import sha256
from typing import Any, TypeAlias

from google.protobuf.duration_pb2 import Duration
from oip.benefits.v1 import benefits_pb2
from oip.claims.v1 import accidents_pb2, claims_pb2
from oip.enrolment.v1 import enrolment_pb2
from oip.grading.v1 import grading_pb2
from oip.staff.v1 import staff_pb2
from oip.type.v1 import type_pb2

from services.runtime.rpc.wire import date_to_wire, moment_to_wire
from tests.integration.claims.conftest import at
from tests.integration.people.world import EARLIER, World
from tests.support.platforms import SWIFT

Fields: TypeAlias = dict[str, Any]

JULY = type_pb2.Month(year=2025, month=7)
DECEMBER = type_pb2.Month(year=2025, month=12)
DAY = date_to_wire(date(2025, 7, 15))
TODAY, LATER = date_to_wire(date(2025, 11, 15)), date_to_wire(date(2026, 1, 1))
MOMENT = moment_to_wire(at("10:20"))
WHY = {"reason": "a reason"}

# Methods on records of nobody, or of which the request names none.
NO_RECORD = {
    "GetImpairmentItem": "the grading standard",
    "SearchImpairmentItems": "the grading standard",
    "ListSpecialists": "a register that all share",
    "GetOwnStaffMember": "the caller",
    "RecuseSpecialist": "gives the seat away; tests/integration/grading/test_withdrawals.py",
    "FindWorker": "offices that see all workers; tests/integration/enrolment/test_look_up.py",
    "UploadOrders": "a stream; tests/contract/test_access.py",
    "GetOrderArchive": "administrators alone",
    "InviteColleague": "makes a record; tests/integration/staff/test_register.py",
}


def calls(world: World) -> dict[str, tuple[Fields, str | None]]:
    """The calls by method."""
    return {**benefits(world), **claims(world), **grading(world), **others(world)}


def benefits(world: World) -> dict[str, tuple[Fields, str | None]]:
    claim, award = {"claim": world.claim}, {"name": world.award}
    expense = {
        "kind": benefits_pb2.MEDICAL_BENEFIT,
        "expense_date": DAY,
        "allowed_cost_fen": 100,
        "bill_number": "X-1",
        "institution": "First Hospital",
    }
    death = {
        "state": benefits_pb2.LifeEvent.DEAD,
        "day": DAY,
        "cause": benefits_pb2.LifeEvent.INJURY,
        "document_hash": bytes(32),
    }
    return {
        "GetAward": (award, world.award),
        "ListAwards": (claim, world.award),
        "ListRecoveries": (claim, world.claim),
        "ListPaymentInstructions": ({"award": world.award}, world.award),
        "ListProvisionalAwards": ({}, world.trued_up),
        "ListTrueUps": ({"claim": EARLIER}, world.trued_up),
        "GrantExpense": ({**claim, **expense}, None),
        "SuspendAward": ({**award, **WHY, "first_month": DECEMBER}, None),
        "ResumeAward": ({**award, "first_month": DECEMBER}, None),
        "TerminateAward": ({**award, **WHY, "last_month": DECEMBER}, None),
        "RecordLifeEvent": ({**claim, **WHY, **death}, None),
        "ListLifeEvents": (claim, world.life_event),
        "RecordPension": ({**claim, "first_month": DECEMBER, "pension_fen": 100}, None),
    }


def claims(world: World) -> dict[str, tuple[Fields, str | None]]:
    claim, name = {"claim": world.claim}, {"name": world.claim}
    accident = {
        "worker": world.worker,
        "accident_time": MOMENT,
        "place_of_injury": "440106",
        "description": "Collision.",
    }
    same = {"answer": accidents_pb2.SAME, "code": accidents_pb2.SAME_INJURY}
    evidence = {
        "kind": claims_pb2.Evidence.DIAGNOSIS,
        "title": "a document",
        "content_hash": sha256(b"x").digest(),
    }
    return {
        "GetClaim": (name, world.claim),
        "ListClaims": ({"worker": world.worker}, world.claim),
        # A platform sees the claim, and only the documents that it brought.
        "ListEvidence": (claim, "OK"),
        "ListDeterminations": (claim, f"{world.claim}/determinations/1"),
        "PreviewDetermination": (name, None),
        "GetAccidentReport": ({"name": world.report}, world.report),
        "ListAccidentReports": ({"worker": world.worker}, world.report),
        "ListAccidents": ({"worker": world.worker}, world.worker),
        "ListFilings": (claim, world.claim),
        "ReportAccident": (accident, None),
        "CreateClaim": ({**accident, "claimant_kind": claims_pb2.WORKER}, None),
        "AddEvidence": ({**claim, **evidence}, None),
        "RecordDeath": ({**name, "death_date": DAY}, None),
        "AcceptClaim": (name, None),
        "RequestEvidence": ({**name, "items": ["a document"]}, None),
        "StayClaim": ({**name, **WHY}, None),
        "ResumeClaim": (name, None),
        "DetermineClaim": ({**name, "revision": 1}, None),
        "RecordService": ({**name, "service_date": TODAY}, None),
        "AnswerFiling": ({**name, **WHY, **same}, None),
        "ContestFiling": ({**name, **WHY}, None),
        "MergeClaims": (
            {**claim, **WHY, "merged_claim": world.claim, "code": same["code"]},
            None,
        ),
        "RevokeDetermination": ({**name, **WHY}, None),
    }


def grading(world: World) -> dict[str, tuple[Fields, str | None]]:
    name = {"name": world.appraisal}
    excluded = {"specialist": world.other_seat.name, "code": grading_pb2.RELATIVE}
    reviewed = {"level": grading_pb2.Appraisal.REVIEW, "applicant": grading_pb2.WORKER}
    served = {
        "recipient": grading_pb2.RECIPIENT_WORKER,
        "means": grading_pb2.POST,
        "serve_date": TODAY,
    }
    corrected = {"code": grading_pb2.WRONG_ITEM, "care_items": [grading_pb2.EATING]}
    opinion = grading_pb2.Opinion(
        specialist=world.seat.name,
        impairments=[grading_pb2.Opinion.Impairment(item="9.23")],
        care_items=[grading_pb2.MOVING_ABOUT],
    )
    return {
        "GetAppraisal": (name, world.appraisal),
        "ListAppraisals": ({"claim": world.claim}, world.appraisal),
        "ListInvitations": ({}, world.invited),
        "ExcludeSpecialist": ({**name, **excluded}, None),
        "DrawPanel": (name, None),
        "RecordOpinion": ({**name, "opinion": opinion}, None),
        "ConcludeAppraisal": ({**name, "revision": 1}, None),
        "DeferAppraisal": ({**name, **WHY, "until_date": LATER}, None),
        "AdjournAppraisal": ({**name, **WHY, "until_date": LATER}, None),
        "ExtendAppraisal": ({**name, **WHY}, None),
        "RecordAbsence": ({**name, "examination_date": DAY}, None),
        "OpenAppraisal": ({"previous": world.appraisal, **reviewed}, None),
        "RequestDocuments": ({**name, "documents": "an X-ray", "documents_date": LATER}, None),
        "RecordDocuments": (name, None),
        "AbandonAppraisal": (name, None),
        "WithdrawAppraisal": ({**name, **WHY}, None),
        "ResumeAppraisal": ({**name, **WHY}, None),
        "ServeConclusion": ({**name, **served}, None),
        "CorrectConclusion": ({**name, **WHY, **corrected, "revision": 1}, None),
        "RevokeConclusion": ({**name, **WHY, "revision": 1}, None),
    }


def others(world: World) -> dict[str, tuple[Fields, str | None]]:
    """Enrolment, orders, premiums, staff and operations."""
    platform, order = {"platform": f"platforms/{SWIFT}"}, {"name": world.order}
    enrolled = enrolment_pb2.EnrolWorkersRequest.Row(worker_number="w-walk")
    month, member = {**platform, "month": JULY}, {"name": world.colleague}
    return {
        "GetPlatform": ({"name": f"platforms/{SWIFT}"}, SWIFT),
        "ListPlatforms": ({}, SWIFT),
        "EnrolWorkers": ({**platform, "rows": [enrolled]}, None),
        "LookUpWorkers": ({**platform, "worker_numbers": ["w1"]}, "worker"),
        "GetWorker": ({"name": world.worker}, world.worker),
        "ListWorkers": (platform, world.worker.partition("/")[2]),
        "GetOrderBatch": ({"name": world.batch}, world.batch),
        "ListOrderBatches": (platform, world.batch),
        "ListOrderRejections": ({"order_batch": world.batch}, None),
        "GetOrder": (order, world.order),
        "FindOrders": (
            {"worker": world.worker, "moment": MOMENT, "margin": Duration(seconds=3600)},
            world.order,
        ),
        "ListWorkerOrders": ({"worker": world.worker, "accept_date": DAY}, world.order),
        "ListOrderTallies": (month, "order_count"),
        "FreezeOrders": ({"worker": world.worker, "moment": MOMENT, "holder": world.claim}, None),
        "DeclareOrderTotals": ({**platform, "service_date": DAY}, None),
        "ListOrderGaps": (month, None),
        "GetOrderProof": (order, "leaf"),
        "GetLogConsistency": ({**platform, "first_size": 1}, "second_size"),
        "ListCheckpoints": (platform, "checkpoint"),
        "ListPremiumTerms": (platform, SWIFT),
        "ListAccruals": (month, "OK"),
        "DeclarePremium": (month, None),
        "GetPremiumBill": ({"name": world.bill}, world.bill),
        "ListPremiumBills": (platform, world.bill),
        "ListPremiumReceipts": (month, world.receipt),
        "GetPremiumStanding": ({"bill": world.bill, "on_date": DAY}, "fen"),
        "GetAdvanceTerms": ({**platform, "request_date": DAY, "advance_date": DAY}, "OK"),
        "GetStaffMember": (member, world.colleague),
        "ListStaffMembers": ({}, world.colleague),
        "EndSessions": (member, None),
        "RevokeRole": ({"name": f"{world.colleague}/grants/2", "code": staff_pb2.LEFT}, None),
        "ListPendingActs": ({}, world.act),
        "GetPendingAct": ({"name": world.act}, world.act),
        "SignAct": ({"name": world.act, "hash": bytes(32)}, None),
        "WithdrawAct": ({"name": world.act, **WHY}, None),
    }
