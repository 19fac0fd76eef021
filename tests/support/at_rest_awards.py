"""Everything that is said of a worker in appraisal and benefits, and the whole of it."""

from __future__ import annotations

from datetime import date
from typing import Any

from google.type import date_pb2
from oip.benefits.v1 import benefits_pb2
from oip.claims.v1 import claims_pb2
from oip.grading.v1 import grading_pb2
from oip.operations.v1 import operations_pb2
from oip.type.v1 import type_pb2

from tests.support.appraisals import an_opinion, register, specialist
from tests.support.at_rest_case import Case
from tests.support.at_rest_claims import death, injury, staff, workers
from tests.support.stack_client import OFFICERS, refused


async def say_everything(case: Case) -> None:
    """Call every method that takes something personal."""
    client = case.client
    hurt, dead = await workers(case)
    await staff(case)
    claim_of_injury = await injury(case, hurt)
    claim_of_death = await death(case, dead)
    await client.delivered()
    concluded = await appraisal(case, claim_of_injury)
    await client.delivered()
    await benefits(case, claim_of_injury, claim_of_death)
    await second_thoughts(case, claim_of_injury, concluded)
    await client.delivered()


async def appraisal(case: Case, claim: claims_pb2.Claim) -> grading_pb2.Appraisal:
    """Applied for, with missing documents, deferred, extended, adjourned, concluded."""
    client = case.client
    client.set_day(date(2025, 9, 1))
    stub = client.grading("appraiser")
    await register(stub, 6)
    await client.delivered()
    opened = await applied(case, stub, claim)
    await stub.RequestDocuments(
        grading_pb2.RequestDocumentsRequest(
            request_id="documents",
            name=opened.name,
            documents=case.word("missing documents"),
            documents_date=date_pb2.Date(year=2025, month=9, day=5),
        )
    )
    await stub.RecordDocuments(
        grading_pb2.RecordDocumentsRequest(request_id="documents-came", name=opened.name)
    )
    await stub.DeferAppraisal(
        grading_pb2.DeferAppraisalRequest(
            request_id="defer",
            name=opened.name,
            until_date=date_pb2.Date(year=2025, month=9, day=10),
            reason=case.word("deferral: reason"),
        )
    )
    await stub.ExtendAppraisal(
        grading_pb2.ExtendAppraisalRequest(
            request_id="more", name=opened.name, reason=case.word("note: reason")
        )
    )
    client.set_day(date(2025, 9, 11))
    drawn = await stub.DrawPanel(grading_pb2.DrawPanelRequest(request_id="draw", name=opened.name))
    await specialist(client, drawn.panel[0]).RecuseSpecialist(
        grading_pb2.RecuseSpecialistRequest(
            request_id="recuse",
            name=opened.name,
            code=grading_pb2.TREATED_THE_WORKER,
            reason=case.word("recusal: reason"),
        )
    )
    drawn = await stub.GetAppraisal(grading_pb2.GetAppraisalRequest(name=opened.name))
    case.words["opinion"] = b'"9.23"'
    case.words["opinion in a message"] = (
        grading_pb2.Opinion.Impairment(item="9.23").SerializeToString() + b"\x12\x06\x0a\x049.24"
    )
    await stub.AdjournAppraisal(
        grading_pb2.AdjournAppraisalRequest(
            request_id="adjourn",
            name=opened.name,
            until_date=date_pb2.Date(year=2025, month=9, day=12),
            reason=case.word("adjournment: reason"),
        )
    )
    client.set_day(date(2025, 9, 12))
    seen = 0
    for number, seat in enumerate(drawn.panel):
        opinion = an_opinion(f"{seat.name}/opinion", opened.name, seat.name)
        if number == 0:
            scars = opinion.opinion.impairments.add(family="SCARS")
            scars.measurements.add(name="area", value="3")
        seen = (await specialist(client, seat).RecordOpinion(opinion)).revision
    concluded = await stub.ConcludeAppraisal(
        grading_pb2.ConcludeAppraisalRequest(request_id="conclude", name=opened.name, revision=seen)
    )
    case.findings("appraisal", concluded)
    return concluded


async def applied(case: Case, stub: Any, claim: claims_pb2.Claim) -> grading_pb2.Appraisal:
    """An application that kin withdraw, and one that an absence ends until it is resumed."""
    request = grading_pb2.OpenAppraisalRequest(
        request_id="open-first",
        claim=claim.name,
        level=grading_pb2.Appraisal.FIRST,
        applicant=grading_pb2.NEXT_OF_KIN,
        inability=case.word("inability"),
    )
    first = await stub.OpenAppraisal(request)
    await stub.WithdrawAppraisal(
        grading_pb2.WithdrawAppraisalRequest(
            request_id="withdraw-application",
            name=first.name,
            reason=case.word("withdrawal of an application: reason"),
        )
    )
    request.request_id = "open"
    opened: grading_pb2.Appraisal = await stub.OpenAppraisal(request)
    await stub.RecordAbsence(
        grading_pb2.RecordAbsenceRequest(
            request_id="absence",
            name=opened.name,
            examination_date=date_pb2.Date(year=2025, month=9, day=1),
        )
    )
    resumed: grading_pb2.Appraisal = await stub.ResumeAppraisal(
        grading_pb2.ResumeAppraisalRequest(
            request_id="resume-appraisal",
            name=opened.name,
            reason=case.word("resumption: reason"),
        )
    )
    return resumed


async def benefits(case: Case, injury: claims_pb2.Claim, death: claims_pb2.Claim) -> None:
    """A bill granted and reversed, a pension suspended and ended."""
    client = case.client
    stub = client.benefits("fund_officer")
    granted = await stub.GrantExpense(
        benefits_pb2.GrantExpenseRequest(
            request_id="bill",
            claim=injury.name,
            kind=benefits_pb2.MEDICAL_BENEFIT,
            expense_date=date_pb2.Date(year=2025, month=7, day=20),
            allowed_cost_fen=50_000,
            bill_number=case.word("bill"),
            institution=case.word("institution"),
        )
    )
    for claim in (injury, death):
        listed = await stub.ListAwards(benefits_pb2.ListAwardsRequest(claim=claim.name))
        assert listed.awards
        for award in listed.awards:
            whole = await stub.GetAward(benefits_pb2.GetAwardRequest(name=award.name))
            case.findings(f"award {award.name}", whole)
    (pension,) = (award for award in listed.awards if award.periodic)
    month = type_pb2.Month(year=2025, month=9)
    await stub.SuspendAward(
        benefits_pb2.SuspendAwardRequest(
            request_id="suspend",
            name=pension.name,
            first_month=month,
            reason=case.word("suspension: reason"),
        )
    )
    await stub.ResumeAward(
        benefits_pb2.ResumeAwardRequest(request_id="resume", name=pension.name, first_month=month)
    )
    await stub.InstructPayments(benefits_pb2.InstructPaymentsRequest(request_id="run", month=month))
    await stub.TerminateAward(
        benefits_pb2.TerminateAwardRequest(
            request_id="terminate",
            name=pension.name,
            last_month=type_pb2.Month(year=2025, month=8),
            reason=case.word("termination: reason"),
        )
    )
    reversal = benefits_pb2.ReverseExpenseRequest(
        request_id="reverse",
        name=granted.name,
        code=type_pb2.WRONG_AMOUNT,
        reason=case.word("reversal: reason"),
    )
    client.signs = False
    act = (await refused(stub.ReverseExpense(reversal))).metadata["pending_act"]
    client.signs = True
    await client.operations("benefits", *OFFICERS).WithdrawAct(
        operations_pb2.WithdrawActRequest(
            request_id="withdraw", name=act, reason=case.word("withdrawal: reason")
        )
    )
    reversal.request_id = "reverse-after-all"
    await stub.ReverseExpense(reversal)
    shown = await stub.GetAward(benefits_pb2.GetAwardRequest(name=granted.name))
    assert shown.bill.institution == case.word("institution")
    assert shown.reversal.reason == case.word("reversal: reason")
    ended = await stub.GetAward(benefits_pb2.GetAwardRequest(name=pension.name))
    assert ended.suspensions[0].reason == case.word("suspension: reason")


async def second_thoughts(
    case: Case, claim: claims_pb2.Claim, concluded: grading_pb2.Appraisal
) -> None:
    """A life event; a conclusion corrected and revoked."""
    client = case.client
    await client.benefits("fund_officer").RecordLifeEvent(
        benefits_pb2.RecordLifeEventRequest(
            request_id="missing",
            claim=claim.name,
            state=benefits_pb2.LifeEvent.MISSING,
            document_hash=bytes(32),
            reason=case.word("life event: reason"),
        )
    )
    stub = client.grading("appraiser")
    corrected = await stub.CorrectConclusion(
        grading_pb2.CorrectConclusionRequest(
            request_id="correct",
            name=concluded.name,
            revision=concluded.revision,
            code=grading_pb2.WRONG_ITEM,
            reason=case.word("correction: reason"),
            impairments=[grading_pb2.Opinion.Impairment(item="7.47")],
        )
    )
    case.findings("correction", corrected)
    await stub.RevokeConclusion(
        grading_pb2.RevokeConclusionRequest(
            request_id="revoke-conclusion",
            name=concluded.name,
            revision=corrected.revision,
            reason=case.word("revocation of a conclusion: reason"),
        )
    )
