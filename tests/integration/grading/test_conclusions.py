"""A conclusion is served, contested by re-appraisal alone, corrected, or revoked."""

from __future__ import annotations

from datetime import date
from typing import Any

from oip.grading.v1 import events_pb2, grading_pb2

from tests.support.appraisals import (
    State,
    a_date,
    an_opinion,
    apply,
    appraise,
    concluded_first,
    opened_first,
    published_conclusions,
    reason,
    register,
    specialist,
)
from tests.support.stack_client import StackClient, refused

ITEM_7 = grading_pb2.Opinion.Impairment(item="7.47")


def service(name: str, day: str, **fields: Any) -> grading_pb2.ServeConclusionRequest:
    """A service on the worker by post, unless `fields` say otherwise."""
    values = {
        "request_id": f"serve-{day}-{'-'.join(map(str, fields.values()))}",
        "recipient": grading_pb2.RECIPIENT_WORKER,
        "means": grading_pb2.POST,
    }
    return grading_pb2.ServeConclusionRequest(
        name=name, serve_date=a_date(day), **{**values, **fields}
    )


def correction(
    concluded: grading_pb2.Appraisal, **fields: Any
) -> grading_pb2.CorrectConclusionRequest:
    values = {
        "request_id": "correct",
        "revision": concluded.revision,
        "code": grading_pb2.WRONG_ITEM,
        "reason": "the picture was another person's",
        "impairments": [ITEM_7],
    }
    return grading_pb2.CorrectConclusionRequest(name=concluded.name, **{**values, **fields})


def revocation(
    concluded: grading_pb2.Appraisal, request_id: str = "revoke"
) -> grading_pb2.RevokeConclusionRequest:
    return grading_pb2.RevokeConclusionRequest(
        request_id=request_id,
        name=concluded.name,
        revision=concluded.revision,
        reason="somebody else was examined",
    )


async def test_the_days_for_a_re_appraisal_run_from_the_recorded_service(
    client: StackClient,
) -> None:
    stub = client.grading("appraiser")
    first = await concluded_first(client)
    client.set_day(date(2025, 9, 10))
    served = await stub.ServeConclusion(service(first.name, "2025-09-10"))
    client.set_day(date(2025, 9, 26))

    late = apply(client, previous=first.name, level=State.RE_APPRAISAL)
    assert await reason(late) == "RE_APPRAISAL_TOO_LATE"
    in_time = await apply(
        client, previous=first.name, level=State.RE_APPRAISAL, received="2025-09-25"
    )

    assert served.serve_due_date == a_date("2025-09-16")
    assert [one.serve_date for one in served.services] == [a_date("2025-09-10")]
    assert in_time.application_date == a_date("2025-09-25")
    assert await client.broken("grading") == []


async def test_a_refusal_says_that_neither_reconsideration_nor_a_lawsuit_is_open(
    client: StackClient,
) -> None:
    first = await concluded_first(client)
    await client.grading("appraiser").ServeConclusion(service(first.name, "2025-09-01"))
    client.set_day(date(2025, 9, 17))

    problem = await refused(apply(client, previous=first.name, level=State.RE_APPRAISAL))

    assert "neither reconsideration nor a lawsuit is open" in problem.sentence
    assert "不能申请行政复议或提起行政诉讼" in problem.sentence_zh
    (said,) = [finding for finding in first.findings if "served by" in finding.text]
    assert said.provision.article == "第十七条"
    assert "neither reconsideration nor a lawsuit is open" in said.text


async def test_a_service_is_recorded_once_and_changed_by_two_persons(client: StackClient) -> None:
    stub = client.grading("appraiser", subject="li")
    first = await concluded_first(client)
    client.set_day(date(2025, 9, 12))
    client.signs = False
    served = await stub.ServeConclusion(service(first.name, "2025-09-10"))
    again = await stub.ServeConclusion(service(first.name, "2025-09-10", request_id="again"))
    on_platform = await stub.ServeConclusion(
        service(first.name, "2025-09-12", recipient=grading_pb2.RECIPIENT_PLATFORM)
    )
    other = service(first.name, "2025-09-11")
    assert await reason(stub.ServeConclusion(other)) == "SECOND_SIGNATURE_NEEDED"
    await client.sign_waiting("grading")
    changed = await stub.ServeConclusion(other)

    assert again.revision == served.revision
    assert len(on_platform.services) == 2
    assert [one.serve_date for one in changed.services] == [
        a_date("2025-09-11"),
        a_date("2025-09-12"),
    ]
    assert await client.broken("grading") == []


async def test_wrong_services_are_refused(client: StackClient) -> None:
    stub = client.grading("appraiser")
    await register(stub, 3)
    opened = await opened_first(client)
    early = service(opened.name, "2025-09-01")
    assert await reason(stub.ServeConclusion(early)) == "TRANSITION_NOT_ALLOWED"
    first = await appraise(client, opened.name)
    wrong = {
        "OUT_OF_RANGE": [
            service(first.name, "2025-08-31"),
            service(first.name, "2025-09-02"),
        ],
        "FIELD_MISSING": [service(first.name, "2025-09-01", recipient=0)],
        "UNKNOWN_CHOICE": [service(first.name, "2025-09-01", means=9)],
    }

    for expected, requests in wrong.items():
        for request in requests:
            assert await reason(stub.ServeConclusion(request)) == expected
    assert await client.rows("grading", "select * from conclusion_service") == []


async def test_a_correction_is_made_by_two_and_counts_from_the_first_day(
    client: StackClient,
) -> None:
    stub = client.grading("appraiser", subject="li")
    first = await concluded_first(client)
    served = await stub.ServeConclusion(service(first.name, "2025-09-01"))
    client.set_day(date(2025, 11, 3))
    client.signs = False
    request = correction(served)
    assert await reason(stub.CorrectConclusion(request)) == "SECOND_SIGNATURE_NEEDED"
    await client.sign_waiting("grading")
    corrected = await stub.CorrectConclusion(request)

    before, after = await published_conclusions(client)
    assert (before.grade, after.grade) == (8, 7)
    assert before.conclude_date == after.conclude_date == a_date("2025-09-01")
    assert after.revision == corrected.revision > before.revision
    assert (corrected.conclusion_number, corrected.correct_date) == (2, a_date("2025-11-03"))
    # It is served again, and contested again.
    assert not corrected.services
    client.signs = True
    early = service(first.name, "2025-11-02", request_id="early")
    assert await reason(stub.ServeConclusion(early)) == "OUT_OF_RANGE"
    await stub.ServeConclusion(service(first.name, "2025-11-03"))
    client.set_day(date(2025, 11, 18))
    again = await apply(client, previous=first.name, level=State.RE_APPRAISAL)
    assert again.state == State.OPENED
    (row,) = await client.rows("grading", "select content from correction")
    assert b"7.47" not in bytes(row.content)
    assert await client.broken("grading") == []


async def test_wrong_corrections_are_refused_and_change_nothing(client: StackClient) -> None:
    stub = client.grading("appraiser")
    first = await concluded_first(client)

    async def refusal(**fields: Any) -> str:
        return await reason(stub.CorrectConclusion(correction(first, **fields)))

    same = [grading_pb2.Opinion.Impairment(item=item) for item in ("9.23", "9.24")]
    assert await refusal(revision=first.revision - 1) == "APPRAISAL_CHANGED"
    assert await refusal(code=0) == "FIELD_MISSING"
    assert await refusal(reason=" ") == "FIELD_MISSING"
    assert await refusal(impairments=[ITEM_7] * 51) == "TOO_MANY_ITEMS"
    assert await refusal(care_items=[grading_pb2.EATING] * 2) == "GIVEN_TWICE"
    unknown = [grading_pb2.Opinion.Impairment(item="11.1")]
    assert await refusal(impairments=unknown) == "UNKNOWN_ITEM"
    assert await refusal(impairments=same, care_items=[grading_pb2.EATING]) == (
        "CORRECTION_CHANGES_NOTHING"
    )
    specialists_stub = client.grading("specialist", subject="A1")
    assert await reason(specialists_stub.CorrectConclusion(correction(first))) == "FORBIDDEN"
    assert len(await published_conclusions(client)) == 1
    seen = await stub.GetAppraisal(grading_pb2.GetAppraisalRequest(name=first.name))
    assert seen.revision == first.revision


async def test_a_conclusion_by_fraud_is_revoked_and_the_injury_appraised_again(
    client: StackClient,
) -> None:
    stub = client.grading("appraiser", subject="li")
    first = await concluded_first(client)
    open_one = await apply(client, previous=first.name, level=State.RE_APPRAISAL)
    client.signs = False
    request = revocation(first)
    assert await reason(stub.RevokeConclusion(request)) == "SECOND_SIGNATURE_NEEDED"
    await client.sign_waiting("grading")
    revoked = await stub.RevokeConclusion(request)
    client.signs = True

    (event,) = await client.published("grading", events_pb2.AppraisalRevoked)
    (ended,) = await client.published("grading", events_pb2.AppraisalEnded)
    assert (event.appraisal, event.revision) == (first.name, revoked.revision)
    assert (ended.appraisal, ended.cause) == (
        open_one.name,
        grading_pb2.Appraisal.CONCLUSION_REVOKED,
    )
    assert revoked.state == State.REVOKED
    assert [note.text for note in revoked.notes] == ["somebody else was examined"]
    gone = apply(client, previous=first.name, level=State.RE_APPRAISAL)
    assert await reason(gone) == "LEVEL_WRONG"
    twice = revocation(revoked, "twice")
    assert await reason(stub.RevokeConclusion(twice)) == "TRANSITION_NOT_ALLOWED"
    other = await appraise(client, (await apply(client)).name, ["7.47"])
    assert (other.level, other.grade) == (State.FIRST, 7)
    assert await client.broken("grading") == []


async def test_what_a_re_appraisal_has_replaced_is_neither_corrected_nor_revoked(
    client: StackClient,
) -> None:
    stub = client.grading("appraiser")
    first = await concluded_first(client)
    await register(stub, 3, provincial=True)
    again = await apply(client, previous=first.name, level=State.RE_APPRAISAL)
    final = await appraise(client, again.name, ["7.47"])

    assert await reason(stub.CorrectConclusion(correction(first))) == "CONCLUSION_CONTESTED"
    assert await reason(stub.RevokeConclusion(revocation(first))) == "CONCLUSION_CONTESTED"
    await stub.RevokeConclusion(revocation(final, "final"))
    # Now the first one is in force again.
    assert (await stub.RevokeConclusion(revocation(first, "first"))).state == State.REVOKED


async def test_a_review_is_contested_by_a_re_appraisal(client: StackClient) -> None:
    stub = client.grading("appraiser")
    first = await concluded_first(client)
    await register(stub, 3, provincial=True)
    client.set_day(date(2026, 9, 1))
    review = await appraise(
        client, (await apply(client, previous=first.name, level=State.REVIEW)).name, ["10.12"]
    )

    again = await apply(client, previous=review.name, level=State.RE_APPRAISAL)
    final = await appraise(client, again.name, ["9.23"])

    assert (final.level, final.grade, final.previous) == (State.RE_APPRAISAL, 9, review.name)
    assert await client.broken("grading") == []


async def test_an_adjournment_moves_the_limit_and_keeps_the_panel(client: StackClient) -> None:
    stub = client.grading("appraiser")
    await register(stub, 3)
    opened = await opened_first(client)
    request = grading_pb2.AdjournAppraisalRequest(
        request_id="adjourn",
        name=opened.name,
        until_date=a_date("2025-09-15"),
        reason="an electromyogram is needed",
    )
    assert await reason(stub.AdjournAppraisal(request)) == "TRANSITION_NOT_ALLOWED"
    drawn = await stub.DrawPanel(grading_pb2.DrawPanelRequest(request_id="d", name=opened.name))
    adjourned = await stub.AdjournAppraisal(request)
    again = await stub.AdjournAppraisal(request)

    assert adjourned == again
    assert adjourned.due_date == a_date("2025-11-14")
    assert [one.name for one in adjourned.panel] == [one.name for one in drawn.panel]
    assert [note.text for note in adjourned.notes] == ["an electromyogram is needed"]


async def test_a_member_who_has_to_recuse_is_replaced_by_a_new_draw(client: StackClient) -> None:
    stub = client.grading("appraiser")
    await register(stub, 5)
    opened = await opened_first(client)
    drawn = await stub.DrawPanel(grading_pb2.DrawPanelRequest(request_id="d", name=opened.name))
    related = drawn.panel[0]
    await specialist(client, related).RecordOpinion(an_opinion("o", opened.name, related.name))
    pool = await stub.ListSpecialists(grading_pb2.ListSpecialistsRequest())
    outside = next(one.name for one in pool.specialists if one not in drawn.panel)

    def exclude(name: str) -> grading_pb2.ExcludeSpecialistRequest:
        return grading_pb2.ExcludeSpecialistRequest(
            request_id=f"x-{name}", name=opened.name, specialist=name, code=grading_pb2.RELATIVE
        )

    assert await reason(stub.ExcludeSpecialist(exclude(outside))) == "NOT_ON_PANEL"
    released = await stub.ExcludeSpecialist(exclude(related.name))
    redrawn = await appraise(client, opened.name)

    assert (released.state, len(released.panel)) == (State.OPENED, 0)
    assert released.draw_commitment != drawn.draw_commitment
    assert related.name not in {one.name for one in redrawn.panel}
    assert redrawn.state == State.CONCLUDED
    assert await client.broken("grading") == []


async def test_a_specialist_sits_within_a_term_alone(client: StackClient) -> None:
    stub = client.grading("appraiser")
    await register(stub, 3)
    (first, *_) = (await stub.ListSpecialists(grading_pb2.ListSpecialistsRequest())).specialists
    assert (first.term_first_date, first.term_last_date) == (
        a_date("2025-09-01"),
        a_date("2028-08-31"),
    )
    client.set_day(date(2028, 9, 1))
    opened = await opened_first(client)
    draw = grading_pb2.DrawPanelRequest(request_id="d", name=opened.name)
    assert await reason(stub.DrawPanel(draw)) == "POOL_TOO_SMALL"
    for number in range(3):
        name = (
            (await stub.ListSpecialists(grading_pb2.ListSpecialistsRequest()))
            .specialists[number]
            .name
        )
        renewed = await stub.RenewSpecialist(
            grading_pb2.RenewSpecialistRequest(request_id=f"renew-{number}", name=name)
        )
    unknown = grading_pb2.RenewSpecialistRequest(request_id="none", name="specialists/none")
    assert await reason(stub.RenewSpecialist(unknown)) == "NOT_FOUND"
    ahead = grading_pb2.RenewSpecialistRequest(request_id="ahead", name=first.name)
    following = await stub.RenewSpecialist(ahead)
    ahead.request_id = "twice"
    assert await reason(stub.RenewSpecialist(ahead)) == "TERM_RUNNING"

    assert renewed.term_last_date == a_date("2031-08-31")
    assert following.term_first_date == a_date("2031-09-01")
    assert (await stub.DrawPanel(draw)).state == State.PANEL_DRAWN
    assert await client.broken("grading") == []
