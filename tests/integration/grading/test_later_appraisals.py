"""Appraisals that wait, end, reopen or follow another; and events in any order."""

from __future__ import annotations

import itertools
from datetime import date
from typing import Any

import pytest
from google.type import date_pb2
from oip.claims.v1 import claims_pb2
from oip.grading.v1 import events_pb2, grading_pb2

from tests.support.appraisals import (
    State,
    a_date,
    apply,
    appraise,
    determined,
    in_states,
    merged,
    opened_first,
    published_conclusions,
    reason,
    register,
    revoked,
)
from tests.support.stack_client import StackClient

EVENTS: dict[str, Any] = {
    "confirmed": determined(2),
    "revoked": revoked(3),
    "refused": determined(4, outcome=claims_pb2.Determination.REFUSED),
    "confirmed again": determined(5),
    "dead": determined(6, death_date=a_date("2025-08-30")),
}


async def test_a_withdrawn_determination_ends_the_appraisal_and_a_new_one_takes_it_up(
    client: StackClient,
) -> None:
    stub = client.grading("appraiser")
    opened = await opened_first(client)
    await client.publish(revoked(5))
    (ended,) = await in_states(stub, State.ENDED)
    await client.publish(determined(4))
    await client.publish(determined(6))
    (reopened,) = await in_states(stub, State.OPENED)

    assert opened.name == ended.name == reopened.name


async def test_a_merge_ends_the_open_appraisal_of_the_merged_claim(client: StackClient) -> None:
    stub = client.grading("appraiser")
    opened = await opened_first(client)
    await client.publish(merged(5))
    (ended,) = await in_states(stub, State.ENDED)
    await client.publish(determined(4))
    (event,) = await client.published("grading", events_pb2.AppraisalEnded)

    assert opened.name == ended.name
    assert event.cause == grading_pb2.Appraisal.CLAIMS_MERGED
    assert len(await in_states(stub, State.ENDED)) == 1
    # A wrong merge is undone, and the claim determined again.
    await client.publish(determined(8))
    (reopened,) = await in_states(stub, State.OPENED)
    assert reopened.name == opened.name


async def test_a_merge_that_comes_before_the_determination_counts(client: StackClient) -> None:
    await client.consume("grading", merged(5))
    await client.consume("grading", determined(4))

    assert await in_states(client.grading("appraiser")) == []


async def test_a_conclusion_of_a_merged_claim_stays_readable(client: StackClient) -> None:
    stub = client.grading("appraiser")
    await register(stub, 3)
    opened = await opened_first(client)
    concluded = await appraise(client, opened.name)
    await client.consume("grading", merged(3))

    (readable,) = await in_states(stub, State.CONCLUDED)
    assert (readable.name, readable.grade) == (concluded.name, concluded.grade)
    assert len(await published_conclusions(client)) == 1


@pytest.mark.parametrize("last", ["confirmed", "revoked", "refused", "confirmed again", "dead"])
async def test_events_in_any_order_end_in_the_same_state(client: StackClient, last: str) -> None:
    """The worker has applied after a first confirmation."""
    names = list(EVENTS)[: list(EVENTS).index(last) + 1]
    ways = list(itertools.permutations(names))[:: max(1, len(names) - 2) ** 2]

    ends = set()
    for number, way in enumerate(ways):
        await client.consume("grading", determined(1, claim=f"claims/w{number}"))
        await apply(client, f"claims/w{number}")
        for name in (*way, way[0]):
            event = type(EVENTS[name])()
            event.CopyFrom(EVENTS[name])
            event.claim = f"claims/w{number}"
            await client.consume("grading", event)
        ends.add(await _state(client, f"claims/w{number}"))

    opens = last in {"confirmed", "confirmed again"}
    assert ends == ({"OPENED"} if opens else {"ENDED"})


async def test_a_conclusion_is_published_again_when_the_claim_is_confirmed_again(
    client: StackClient,
) -> None:
    stub = client.grading("appraiser")
    await register(stub, 3)
    opened = await opened_first(client)
    concluded = await appraise(client, opened.name)

    await client.consume("grading", revoked(3))
    await client.consume("grading", determined(4))

    first, second = await published_conclusions(client)
    assert (first.revision, second.revision) == (concluded.revision, concluded.revision + 1)
    assert second.grade == first.grade
    assert len(await in_states(stub, State.CONCLUDED)) == 1


async def test_a_conclusion_is_published_again_while_a_re_appraisal_is_open(
    client: StackClient,
) -> None:
    stub = client.grading("appraiser")
    await register(stub, 3)
    opened = await opened_first(client)
    first = await appraise(client, opened.name)
    again = await apply(client, previous=first.name, level=State.RE_APPRAISAL)

    await client.consume("grading", revoked(3))
    await client.consume("grading", determined(4))
    taken_up = await stub.GetAppraisal(grading_pb2.GetAppraisalRequest(name=again.name))

    assert taken_up.state == State.OPENED
    assert [event.appraisal for event in await published_conclusions(client)] == [first.name] * 2


async def test_a_re_appraisal_is_by_others_and_final(client: StackClient) -> None:
    stub = client.grading("appraiser")
    await register(stub, 3)
    await register(stub, 3, provincial=True)
    opened = await opened_first(client)
    first = await appraise(client, opened.name)
    request = grading_pb2.OpenAppraisalRequest(
        request_id="again",
        previous=first.name,
        level=State.RE_APPRAISAL,
        applicant=grading_pb2.WORKER,
    )

    again = await stub.OpenAppraisal(request)
    assert again == await stub.OpenAppraisal(request)
    final = await appraise(client, again.name, ["7.47"])

    assert final.grade == 7
    assert not {one.name for one in final.panel} & {one.name for one in first.panel}
    assert all(member.provincial for member in final.panel)
    assert [event.grade for event in await published_conclusions(client)] == [8, 7]
    request.request_id, request.previous = "third", final.name
    assert await reason(stub.OpenAppraisal(request)) == "RE_APPRAISAL_FINAL"
    request.request_id, request.previous = "late", first.name
    assert await reason(stub.OpenAppraisal(request)) == "OTHER_APPRAISAL_NEWER"


async def test_a_review_waits_a_year(client: StackClient) -> None:
    stub = client.grading("appraiser")
    await register(stub, 3)
    opened = await opened_first(client)
    first = await appraise(client, opened.name)
    request = grading_pb2.OpenAppraisalRequest(
        request_id="early",
        previous=first.name,
        level=State.REVIEW,
        applicant=grading_pb2.AGENCY,
        application_date=a_date("2025-09-01"),
    )

    assert await reason(stub.OpenAppraisal(request)) == "REVIEW_TOO_EARLY"
    request.application_date.CopyFrom(a_date("2026-09-01"))
    assert await reason(stub.OpenAppraisal(request)) == "MALFORMED"
    client.set_day(date(2026, 9, 1))
    review = await stub.OpenAppraisal(request)
    reviewed = await appraise(client, review.name, ["10.12"])

    assert reviewed.grade == 10
    effect = reviewed.findings[-1]
    assert ("first_month", "2026-10") in [(fact.name, fact.value) for fact in effect.outputs]


async def test_a_deferred_appraisal_waits_and_keeps_its_note_closed(client: StackClient) -> None:
    stub = client.grading("appraiser")
    await register(stub, 3)
    opened = await opened_first(client)
    request = grading_pb2.DeferAppraisalRequest(
        request_id="defer",
        name=opened.name,
        until_date=a_date("2025-12-01"),
        reason="fracture not healed",
        injury_kind=grading_pb2.FIXATION,
    )

    assert await reason(stub.DeferAppraisal(request)) == "DEFERRAL_TOO_SHORT"
    request.until_date.CopyFrom(a_date("2026-01-12"))
    deferred = await stub.DeferAppraisal(request)
    draw = grading_pb2.DrawPanelRequest(request_id="early", name=opened.name)

    assert deferred.not_before_date == date_pb2.Date(year=2026, month=1, day=12)
    assert deferred.due_date == date_pb2.Date(year=2026, month=3, day=13)
    assert await reason(stub.DrawPanel(draw)) == "APPRAISAL_DEFERRED"
    client.set_day(date(2026, 1, 12))
    assert (await stub.DrawPanel(draw)).state == State.PANEL_DRAWN
    (row,) = await client.rows("grading", "select note from note")
    assert b"fracture" not in bytes(row.note)


async def test_one_absence_ends_the_appraisal_and_a_new_application_opens_another(
    client: StackClient,
) -> None:
    stub = client.grading("appraiser")
    opened = await opened_first(client)

    def absent(day: str, **fields: Any) -> grading_pb2.RecordAbsenceRequest:
        return grading_pb2.RecordAbsenceRequest(
            request_id=f"absent-{day}-{'-'.join(map(str, fields.values()))}",
            name=opened.name,
            examination_date=a_date(day),
            **fields,
        )

    excused = await stub.RecordAbsence(absent("2025-08-25", excused=True))
    assert await reason(stub.RecordAbsence(absent("2025-08-25"))) == "ABSENCE_RECORDED"
    refusal = absent("2025-08-26", excused=True, code=grading_pb2.REFUSED)
    assert await reason(stub.RecordAbsence(refusal)) == "MALFORMED"
    assert await reason(stub.RecordAbsence(absent("2025-08-26", code=9))) == "UNKNOWN_CHOICE"
    ended = await stub.RecordAbsence(absent("2025-08-29"))
    other = await apply(client)
    (event,) = await client.published("grading", events_pb2.AppraisalEnded)

    assert (excused.state, excused.absence_count) == (State.OPENED, 0)
    assert (ended.state, ended.absence_count) == (State.ENDED, 1)
    assert event.cause == grading_pb2.Appraisal.WORKER_ABSENT
    assert (other.state, other.absence_count) == (State.OPENED, 0)
    assert other.name != opened.name
    assert await client.broken("grading") == []


async def test_a_review_follows_the_conclusion_although_a_re_appraisal_ended(
    client: StackClient,
) -> None:
    """The worker did not come to the re-appraisal; the first conclusion stays in force."""
    stub = client.grading("appraiser")
    await register(stub, 3)
    first = await appraise(client, (await opened_first(client)).name)
    again = await apply(client, previous=first.name, level=State.RE_APPRAISAL)
    await stub.RecordAbsence(
        grading_pb2.RecordAbsenceRequest(
            request_id="absent", name=again.name, examination_date=a_date("2025-09-01")
        )
    )
    client.set_day(date(2026, 9, 1))

    review = await apply(client, previous=first.name, level=State.REVIEW)

    assert (review.level, review.previous) == (State.REVIEW, first.name)


async def test_a_complex_case_gets_more_time_once(client: StackClient) -> None:
    stub = client.grading("appraiser")
    opened = await opened_first(client)
    request = grading_pb2.ExtendAppraisalRequest(
        request_id="more", name=opened.name, reason="two hospitals disagree"
    )

    extended = await stub.ExtendAppraisal(request)

    assert extended.extended
    assert opened.due_date == a_date("2025-10-31")
    assert extended.due_date == a_date("2025-12-01")
    request.request_id = "more-again"
    assert await reason(stub.ExtendAppraisal(request)) == "ALREADY_EXTENDED"


async def _state(client: StackClient, claim: str) -> str:
    rows = await client.rows(
        "grading", "select state from appraisal where claim = :claim", claim=claim
    )
    return rows[0].state if rows else "none"
