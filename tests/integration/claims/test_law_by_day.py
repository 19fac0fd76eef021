"""The day of the accident chooses the text, through the RPCs of a running stack.

人社部发〔2021〕110号 rules accidents up to 2025-06-30, 人社部发〔2025〕24号 later ones.
"""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from google.type import date_pb2
from oip.claims.v1 import claims_pb2
from oip.type.v1 import type_pb2

from services.runtime.rpc.wire import date_to_wire, moment_to_wire
from tests.integration.claims.conftest import (
    DAY,
    A,
    B,
    accept,
    add_evidence,
    at,
    determine,
    enrol,
    file,
    send,
)
from tests.support.stack_client import StackClient, refused

Determination = claims_pb2.Determination
Enquiry = claims_pb2.DetermineClaimRequest.Enquiry
Judgement = claims_pb2.DetermineClaimRequest.Judgement
Request = claims_pb2.DetermineClaimRequest
LAST_DAY, FIRST_DAY = date(2025, 6, 30), date(2025, 7, 1)


def cited(claim: claims_pb2.Claim) -> set[str]:
    """The instruments of a determination."""
    return {finding.provision.instrument for finding in claim.determination.findings}


@pytest.mark.parametrize(
    ("accident", "clear", "due", "article"),
    [
        # 30 or 10 working days from the receipt on 1 July.
        (LAST_DAY, False, date(2025, 8, 12), "第十三条"),
        (LAST_DAY, True, date(2025, 7, 15), "第十三条"),
        # 30 or 7 working days from the acceptance on 4 July.
        (FIRST_DAY, False, date(2025, 8, 15), "第十四条"),
        (FIRST_DAY, True, date(2025, 7, 15), "第十四条"),
    ],
)
async def test_the_time_for_the_determination_follows_the_day_of_the_accident(
    client: StackClient, accident: date, clear: bool, due: date, article: str
) -> None:
    client.clock.set(at("09:00", FIRST_DAY))
    worker = await enrol(client, A)
    client.clock.set(at("12:00", FIRST_DAY))
    filed = await file(client, worker, at("10:20", accident))
    client.clock.set(at("09:00", date(2025, 7, 4)))

    accepted = await client.claims("adjudicator").AcceptClaim(
        claims_pb2.AcceptClaimRequest(
            request_id=client.new_id(), name=filed.name, facts_clear=clear
        )
    )
    shown = await client.claims("adjudicator").GetClaim(claims_pb2.GetClaimRequest(name=filed.name))

    assert accepted.due_date == date_to_wire(due)
    assert shown.time_limit.provision.article == article


@pytest.mark.parametrize(
    ("exclusion", "question", "article"),
    [
        (Request.INTENTIONAL_CRIME, "intentional_crime", "第十一条第二款(故意犯罪)"),
        (Request.INTOXICATION, "intoxication", "第十一条第二款(醉酒或者吸毒)"),
        (Request.SELF_HARM, "self_harm", "第十一条第二款(自残或者自杀)"),
    ],
)
@pytest.mark.parametrize("caused", [True, False])
async def test_an_exclusion_refuses_only_where_it_caused_the_harm(
    client: StackClient,
    exclusion: claims_pb2.DetermineClaimRequest.Exclusion.ValueType,
    question: str,
    article: str,
    caused: bool,
) -> None:
    worker = await enrol(client, A)
    await send(client, A, worker, (client.new_id(), "10:00", "10:40"))
    accepted = await accept(client, await file(client, worker, at("10:20")))
    enquiry = Enquiry(harm_established=True, exclusions=[exclusion])

    asked = await refused(determine(client, accepted, enquiry))
    judgement = Judgement(finding=question, met=caused, reason="The police report says so.")
    claim = await determine(client, accepted, enquiry, (judgement,))

    assert (asked.reason, question in asked.sentence) == ("FINDINGS_OPEN", True)
    outcome = Determination.REFUSED if caused else Determination.CONFIRMED
    assert claim.determination.outcome == outcome
    finding = next(one for one in claim.determination.findings if one.provision.article == article)
    assert finding.outcome == (type_pb2.Finding.MET if caused else type_pb2.Finding.NOT_MET)


async def test_a_measured_level_alone_refuses_nobody(client: StackClient) -> None:
    """社会保险法若干规定 第十条: drunkenness bars only what it led to."""
    worker = await enrol(client, A)
    await send(client, A, worker, (client.new_id(), "10:00", "10:40"))
    accepted = await accept(client, await file(client, worker, at("10:20")))
    drunk = Enquiry(harm_established=True, blood_alcohol_mg_per_100ml=160)
    below = Enquiry(harm_established=True, blood_alcohol_mg_per_100ml=79)

    asked = await refused(determine(client, accepted, drunk))
    claim = await determine(client, accepted, below)

    assert (asked.reason, "intoxication" in asked.sentence) == ("FINDINGS_OPEN", True)
    assert claim.determination.outcome == Determination.CONFIRMED


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(
    ("accident", "article"),
    [(LAST_DAY, "第十条第一款第(六)项"), (FIRST_DAY, "第十一条第一款第(六)项")],
)
async def test_whether_another_law_names_the_situation_is_for_a_person(
    client: StackClient, accident: date, article: str, *, named: bool
) -> None:
    client.clock.set(at("09:00", FIRST_DAY))
    worker = await enrol(client, A)
    client.clock.set(at("23:00", accident))
    times = {
        "accept_time_us": int(at("10:00", accident).timestamp() * 1_000_000),
        "end_time_us": int(at("10:40", accident).timestamp() * 1_000_000),
    }
    await send(client, A, worker, (client.new_id(), "10:00", "10:40"), **times)
    client.clock.set(at("09:00", date(2025, 7, 3)))
    filed = await file(client, worker, at("10:20", accident), situation=claims_pb2.OTHER_LAW)
    accepted = await accept(client, filed)

    asked = await refused(determine(client, accepted))
    judgement = Judgement(finding="other_law", met=named, reason="By the article on militia duty.")
    claim = await determine(client, accepted, judgements=(judgement,))

    assert (asked.reason, "other_law" in asked.sentence) == ("FINDINGS_OPEN", True)
    outcome = Determination.CONFIRMED if named else Determination.REFUSED
    assert claim.determination.outcome == outcome
    assert article in {finding.provision.article for finding in claim.determination.findings}


@pytest.mark.parametrize(
    ("hours", "outcome"), [(48, Determination.CONFIRMED), (49, Determination.REFUSED)]
)
async def test_a_death_counts_from_when_it_could_not_be_averted_any_more(
    client: StackClient, hours: int, outcome: claims_pb2.Determination.Outcome.ValueType
) -> None:
    """(2025)最高法行再516号: a later death that was certain within the 48 hours."""
    worker = await enrol(client, A)
    await send(client, A, worker, (client.new_id(), "10:00", "10:40"))
    client.clock.set(at("09:00", DAY + timedelta(days=6)))
    filed = await file(
        client,
        worker,
        at("10:20"),
        situation=claims_pb2.SUDDEN_ILLNESS,
        death_date=date_to_wire(DAY + timedelta(days=4)),
    )
    await add_evidence(client, filed, claims_pb2.Evidence.DEATH_CERTIFICATE)
    diagnosed = at("11:00")
    enquiry = Enquiry(
        harm_established=True,
        first_diagnosis_time=moment_to_wire(diagnosed),
        irreversible_time=moment_to_wire(diagnosed + timedelta(hours=hours)),
        death_time=moment_to_wire(at("08:00", DAY + timedelta(days=4))),
    )
    impossible = Enquiry()
    impossible.CopyFrom(enquiry)
    impossible.irreversible_time.CopyFrom(moment_to_wire(at("10:50")))
    accepted = await accept(client, filed)

    wrong = await refused(determine(client, accepted, impossible))
    claim = await determine(client, accepted, enquiry)

    assert wrong.reason == "MALFORMED"
    assert claim.determination.outcome == outcome


async def test_of_orders_of_two_platforms_the_first_accepted_bears_the_case(
    client: StackClient,
) -> None:
    """人社部发〔2025〕24号 第十五条: orders of several platforms on one route."""
    worker = await enrol(client, A, B)
    await send(client, A, worker, (client.new_id(), "10:05", "10:40"))
    await send(client, B, worker, (client.new_id(), "10:00", "10:45"))

    claim = await determine(client, await accept(client, await file(client, worker, at("10:20"))))

    assert claim.determination.outcome == Determination.CONFIRMED
    assert claim.determination.platform == f"platforms/{B}"
    assert [order.charged for order in claim.orders].count(True) == 1
    (attribution,) = [
        finding
        for finding in claim.determination.findings
        if finding.provision.article == "第十五条"
    ]
    assert "首接单" in attribution.text_zh


async def test_the_order_that_was_being_served_bears_the_case(client: StackClient) -> None:
    worker = await enrol(client, A, B)
    served = client.new_id()
    await send(client, A, worker, (served, "10:05", "10:40"))
    await send(client, B, worker, (client.new_id(), "10:00", "10:45"))
    accepted = await accept(client, await file(client, worker, at("10:20")))

    order = next(one.order for one in accepted.orders if one.order.endswith(served))
    claim = await determine(client, accepted, Enquiry(harm_established=True, served_order=order))

    assert claim.determination.platform == f"platforms/{A}"


async def test_the_hour_after_completion_ends_with_june(client: StackClient) -> None:
    """37 minutes after the last order: covered up to 2025-06-30, a person's question later."""
    client.clock.set(at("09:00", FIRST_DAY))
    worker = await enrol(client, A)
    moments = {}
    for day in (LAST_DAY, FIRST_DAY):
        client.clock.set(at("23:00", day))
        times = {
            "accept_time_us": int(at("10:00", day).timestamp() * 1_000_000),
            "end_time_us": int(at("10:40", day).timestamp() * 1_000_000),
        }
        await send(client, A, worker, (client.new_id(), "10:00", "10:40"), **times)
        moments[day] = at("11:17", day)
    client.clock.set(at("09:00", date(2025, 7, 3)))
    june = await accept(client, await file(client, worker, moments[LAST_DAY]))
    july = await accept(client, await file(client, worker, moments[FIRST_DAY]))

    confirmed = await determine(client, june)
    asked = await refused(determine(client, july))

    assert confirmed.determination.outcome == Determination.CONFIRMED
    assert "人社部发〔2021〕110号" in cited(confirmed)
    assert "人社部发〔2025〕24号" not in cited(confirmed)
    assert (asked.reason, "order_execution" in asked.sentence) == ("FINDINGS_OPEN", True)


async def test_a_filing_shows_its_time_and_how_certain_that_is(client: StackClient) -> None:
    worker = await enrol(client, A)
    await send(client, A, worker, (client.new_id(), "10:00", "10:40"))
    client.clock.set(at("09:00", DAY + timedelta(days=60)))
    claim = await determine(client, await accept(client, await file(client, worker, at("10:20"))))

    finding = next(
        one for one in claim.determination.findings if one.provision.article == "第十七条"
    )
    (limit, longest) = finding.parameters
    assert claim.determination.outcome == Determination.CONFIRMED
    assert "after 2025-08-14, the end of 30 days from the accident" in finding.text
    assert (limit.name, longest.name) == ("worker_filing_time", "longest_filing_time")
    assert limit.tag in {"law", "common", "assumed"}
    assert limit.source
    assert date_pb2.Date(year=2022, month=7, day=1) == limit.since_date
