"""A published decision's facts put to a running stack through its RPCs; the outcome read back."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from oip.benefits.v1 import benefits_pb2
from oip.claims.v1 import claims_pb2
from oip.enrolment.v1 import enrolment_pb2
from oip.grading.v1 import grading_pb2
from oip.orders.v1 import orders_pb2

from services.benefits.__main__ import SERVICE as BENEFITS
from services.claims.__main__ import SERVICE as CLAIMS
from services.enrolment.__main__ import SERVICE as ENROLMENT
from services.grading.__main__ import SERVICE as GRADING
from services.kernel.identifiers import citizen_check
from services.kernel.periods import SHANGHAI
from services.orders.__main__ import SERVICE as ORDERS
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from services.runtime.rpc.wire import date_to_wire, enum_number, moment_to_wire
from tests.support.appraisals import register, specialist
from tests.support.databases import Databases
from tests.support.platforms import PEARL
from tests.support.stack_client import StackClient, stack_client, with_nats

Enquiry = claims_pb2.DetermineClaimRequest.Enquiry
Judgement = claims_pb2.DetermineClaimRequest.Judgement
ONE_DAY = timedelta(days=1)
RIDES, DELIVERY, FREIGHT = 1, 2, 3
CONFIRMED = claims_pb2.Determination.CONFIRMED
PANEL = 3
# An item of the standard for each grade, named by number alone.
ITEMS = {3: "3.14", 4: "4.14", 8: "8.13", 9: "9.23", 10: "10.12"}


@dataclass(frozen=True)
class Facts:
    """What a published decision reports of a case, moments in Shanghai."""

    source: str
    # A division code, and its province.
    area: str
    accident: datetime
    # (acceptance, end) of each order.
    orders: tuple[tuple[datetime, datetime], ...] = ()
    industry: int = DELIVERY
    situation: int = claims_pb2.ORDER_EXECUTION
    enquiry: Mapping[str, Any] = field(default_factory=dict)
    judgements: Mapping[str, bool] = field(default_factory=dict)
    documents: tuple[int, ...] = (claims_pb2.Evidence.DIAGNOSIS,)
    death_date: date | None = None
    # Whom the worker supported.
    survivors: tuple[claims_pb2.Survivor, ...] = ()
    grade: int = 0
    # What the worker cannot do alone.
    cannot: tuple[grading_pb2.CareItem.ValueType, ...] = ()
    concluded: date | None = None
    # The day after the accident by default.
    uploaded: datetime | None = None

    @property
    def province(self) -> str:
        """The province of the deployment."""
        return f"{self.area[:2]}0000"


@asynccontextmanager
async def province_stack(
    stack: Settings, databases: Databases, folder: Path, facts: Facts
) -> AsyncIterator[StackClient]:
    """A deployment of the case's province, a month before the accident, with one platform."""
    server = NatsServer(folder / "nats")
    await server.start()
    services = [ENROLMENT, ORDERS, CLAIMS, GRADING, BENEFITS]
    url = await databases.fresh(*(service.name for service in services))
    update = {"state_dir": folder, "province": facts.province}
    settings = with_nats(stack, server, url).model_copy(update=update)
    clock = SetClock(facts.accident - 30 * ONE_DAY)
    try:
        async with stack_client(services, settings, clock) as client:
            await client.enrolment("administrator").RegisterPlatform(
                enrolment_pb2.RegisterPlatformRequest(
                    request_id=client.new_id(),
                    credit_code=PEARL,
                    display_name="a platform",
                    industries=[enum_number(facts.industry)],
                )
            )
            yield client
    finally:
        await server.stop()


async def enrol(client: StackClient, facts: Facts) -> int:
    """A worker of the platform, enrolled before the accident."""
    body = "44010619900101001"
    answer = await client.enrolment("platform", platform=PEARL).EnrolWorkers(
        enrolment_pb2.EnrolWorkersRequest(
            request_id=client.new_id(),
            platform=f"platforms/{PEARL}",
            rows=[
                enrolment_pb2.EnrolWorkersRequest.Row(
                    worker_number="w1",
                    document_number=body + citizen_check(body),
                    enrol_date=date_to_wire((facts.accident - 30 * ONE_DAY).date()),
                )
            ],
        )
    )
    await client.delivered()
    return answer.outcomes[0].worker


async def upload(client: StackClient, facts: Facts, worker: int) -> orders_pb2.OrderBatch:
    """The orders of the day, sent on the day after; the receipt."""
    answer = await send(client, facts, worker)
    await client.delivered()
    return answer.receipt


async def send(client: StackClient, facts: Facts, worker: int) -> orders_pb2.UploadOrdersResponse:
    """The orders of the day, sent on the day after: a receipt, or why they are refused."""
    client.clock.set(facts.uploaded or facts.accident + ONE_DAY)
    rows = [
        orders_pb2.OrderRow(
            order_no=f"n{number}",
            revision=1,
            worker=worker,
            industry=enum_number(facts.industry),
            state=orders_pb2.COMPLETED,
            accept_time_us=int(accepted.timestamp() * 1_000_000),
            end_time_us=int(ended.timestamp() * 1_000_000),
            place_of_acceptance=int(facts.area),
        )
        for number, (accepted, ended) in enumerate(facts.orders)
    ]
    request = orders_pb2.UploadOrdersRequest(
        batch_id="b1", platform=f"platforms/{PEARL}", rows=orders_pb2.OrderRows(rows=rows)
    )

    async def batches() -> AsyncIterator[orders_pb2.UploadOrdersRequest]:
        yield request

    answers = [
        answer async for answer in client.orders("platform", platform=PEARL).UploadOrders(batches())
    ]
    return answers[0]


async def decide(client: StackClient, facts: Facts, worker: int) -> claims_pb2.Claim:
    """The claim filed, accepted and determined on the facts."""
    client.clock.set(facts.accident + 2 * ONE_DAY)
    person = f"workers/{worker}"
    agent = client.claims("worker_agent", person=person)
    request = claims_pb2.CreateClaimRequest(
        request_id=client.new_id(),
        claimant_kind=claims_pb2.NEXT_OF_KIN if facts.death_date else claims_pb2.WORKER,
        worker=person,
        accident_time=moment_to_wire(facts.accident),
        place_of_injury=facts.area,
        situation=enum_number(facts.situation),
        description="As reported.",
    )
    if facts.death_date:
        request.death_date.CopyFrom(date_to_wire(facts.death_date))
        request.survivors.extend(facts.survivors)
    filed = await agent.CreateClaim(request)
    for kind in facts.documents:
        await agent.AddEvidence(
            claims_pb2.AddEvidenceRequest(
                request_id=client.new_id(),
                claim=filed.name,
                kind=enum_number(kind),
                title="a document",
                content_hash=hashlib.sha256(str(kind).encode()).digest(),
            )
        )
    adjudicator = client.claims("adjudicator")
    accepted = await adjudicator.AcceptClaim(
        claims_pb2.AcceptClaimRequest(request_id=client.new_id(), name=filed.name)
    )
    return await adjudicator.DetermineClaim(
        claims_pb2.DetermineClaimRequest(
            request_id=client.new_id(),
            name=filed.name,
            revision=accepted.revision,
            enquiry=Enquiry(**({"harm_established": True} | dict(facts.enquiry))),
            judgements=[
                Judgement(finding=question, met=met, reason="As the decision says.")
                for question, met in facts.judgements.items()
            ],
        )
    )


async def awards(
    client: StackClient, facts: Facts, claim: claims_pb2.Claim
) -> list[benefits_pb2.Award]:
    """The awards, once the grade of the decision is concluded by a panel."""
    await client.delivered()
    if facts.concluded is not None and claim.determination.outcome == CONFIRMED:
        await appraise(client, facts, claim)
        await client.delivered()
    stub = client.benefits("fund_officer")
    listed = await stub.ListAwards(benefits_pb2.ListAwardsRequest(claim=claim.name))
    return [
        await stub.GetAward(benefits_pb2.GetAwardRequest(name=award.name))
        for award in listed.awards
    ]


async def appraise(client: StackClient, facts: Facts, claim: claims_pb2.Claim) -> None:
    """The worker applies; three specialists find an item of the grade; the committee concludes."""
    assert facts.concluded is not None
    client.clock.set(datetime.combine(facts.concluded, facts.accident.timetz()))
    stub = client.grading("appraiser")
    await register(stub, PANEL)
    opened = await client.grading("worker_agent", person=claim.worker).OpenAppraisal(
        grading_pb2.OpenAppraisalRequest(
            request_id=client.new_id(),
            claim=claim.name,
            level=grading_pb2.Appraisal.FIRST,
            applicant=grading_pb2.WORKER,
        )
    )
    drawn = await stub.DrawPanel(
        grading_pb2.DrawPanelRequest(request_id=client.new_id(), name=opened.name)
    )
    for seat in drawn.panel:
        opinion = grading_pb2.Opinion(
            specialist=seat.name,
            impairments=[grading_pb2.Opinion.Impairment(item=ITEMS[facts.grade])],
            care_items=facts.cannot,
        )
        seen = await specialist(client, seat).RecordOpinion(
            grading_pb2.RecordOpinionRequest(
                request_id=client.new_id(), name=opened.name, opinion=opinion
            )
        )
    concluded = await stub.ConcludeAppraisal(
        grading_pb2.ConcludeAppraisalRequest(
            request_id=client.new_id(), name=opened.name, revision=seen.revision
        )
    )
    assert concluded.grade == facts.grade


def shanghai(text: str) -> datetime:
    """`2023-03-15T10:20` in Shanghai."""
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)
