"""Records of one worker, one platform and one pooling area in every service, as calls make them.

The worker works for SWIFT in Guangzhou, is hurt, confirmed, appraised and paid. STRANGERS exist
too, and have nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from oip.benefits.v1 import benefits_pb2
from oip.claims.v1 import claims_pb2
from oip.enrolment.v1 import enrolment_pb2
from oip.grading.v1 import grading_pb2
from oip.orders.v1 import orders_pb2
from oip.staff.v1 import staff_pb2
from oip.type.v1 import type_pb2

from services.kernel.periods import Month
from services.runtime.rpc.wire import date_to_wire, enum_number, moment_to_wire, month_to_wire
from tests.integration.benefits.builders import record_life_event
from tests.integration.claims.conftest import accept, add_evidence, at, enrol, file, send
from tests.integration.people.money_acts import granted_earlier
from tests.integration.people.register_acts import account, granting
from tests.integration.premiums.builders import assess, assign_band, get_bill, receive
from tests.support.appraisals import apply, determined, register
from tests.support.platforms import PEARL, SWIFT
from tests.support.stack_client import StackClient, refused

ORDER = "walk-1"
# A claim of an earlier accident, whose award was trued up and is still provisional.
EARLIER = "claims/earlier"


@dataclass(frozen=True)
class World:
    """The names of the records, and of the stranger."""

    worker: str
    stranger: str
    claim: str
    report: str
    award: str
    life_event: str
    trued_up: str
    appraisal: str
    invited: str
    seat: grading_pb2.Specialist
    other_seat: grading_pb2.Specialist
    order: str
    batch: str
    bill: str
    receipt: str
    colleague: str
    act: str


async def seed(client: StackClient) -> World:
    """All records; the act waits for a signature."""
    worker, stranger = await two_workers(client)
    batch = await orders_of(client, worker)
    claim = await confirmed_claim(client, worker)
    appraisal, act = await opened(client, claim)
    seat, other_seat = await panel(client, appraisal)
    bill, receipt = await premium(client)
    award = await awards(client, claim)
    return World(
        worker=f"workers/{worker}",
        stranger=f"workers/{stranger}",
        claim=claim,
        report=await reported(client, worker),
        award=award,
        life_event=await missing(client, claim),
        trued_up=await trued_up(client, worker),
        appraisal=appraisal,
        invited=await invited(client, worker),
        seat=seat,
        other_seat=other_seat,
        order=f"platforms/{SWIFT}/orders/{ORDER}",
        batch=batch,
        bill=bill,
        receipt=receipt,
        colleague=await colleague(client),
        act=act,
    )


async def two_workers(client: StackClient) -> tuple[int, int]:
    for platform in (SWIFT, PEARL):
        await client.enrolment("administrator").RegisterPlatform(
            enrolment_pb2.RegisterPlatformRequest(
                request_id=client.new_id(),
                credit_code=platform,
                display_name=f"Company {platform[:4]}",
                industries=[enum_number(2)],
            )
        )
    await client.delivered()
    return await enrol(client, SWIFT), await enrol(client, PEARL)


async def orders_of(client: StackClient, worker: int) -> str:
    await send(client, SWIFT, worker, (ORDER, "10:00", "10:40"))
    await client.delivered()
    listed = await client.orders("platform", platform=SWIFT).ListOrderBatches(
        orders_pb2.ListOrderBatchesRequest(platform=f"platforms/{SWIFT}")
    )
    return listed.order_batches[0].name


async def reported(client: StackClient, worker: int) -> str:
    """A report by the platform; it does not see those of others."""
    stub = client.claims("platform", platform=SWIFT)
    report = await stub.ReportAccident(
        claims_pb2.ReportAccidentRequest(
            request_id=client.new_id(),
            worker=f"workers/{worker}",
            accident_time=moment_to_wire(at("10:20")),
            place_of_injury="440106",
            description="Collision.",
        )
    )
    return report.name


async def confirmed_claim(client: StackClient, worker: int) -> str:
    claim = await file(client, worker, at("10:20"))
    await add_evidence(client, claim, claims_pb2.Evidence.DIAGNOSIS)
    claim = await accept(client, claim)
    enquiry = claims_pb2.DetermineClaimRequest.Enquiry(
        harm_established=True, disability_expected=True
    )
    await client.claims("adjudicator").DetermineClaim(
        claims_pb2.DetermineClaimRequest(
            request_id=client.new_id(), name=claim.name, revision=claim.revision, enquiry=enquiry
        )
    )
    await client.delivered()
    return claim.name


async def opened(client: StackClient, claim: str) -> tuple[str, str]:
    """An appraisal, and an exclusion by a person for Guangzhou, which nobody has signed."""
    stub = client.grading("appraiser")
    await register(stub, 4)
    appraisal = await apply(client, claim)
    pool = await stub.ListSpecialists(grading_pb2.ListSpecialistsRequest())
    client.signs = False
    problem = await refused(
        client.grading("appraiser", subject="guangzhou").ExcludeSpecialist(
            grading_pb2.ExcludeSpecialistRequest(
                request_id=client.new_id(),
                name=appraisal.name,
                specialist=pool.specialists[0].name,
                code=grading_pb2.INTEREST,
            )
        )
    )
    client.signs = True
    return appraisal.name, problem.metadata["pending_act"]


async def invited(client: StackClient, worker: int) -> str:
    """A confirmed claim for whose appraisal nobody has applied."""
    claim = "claims/invited"
    event = determined(claim=claim, worker=f"workers/{worker}", platform=f"platforms/{SWIFT}")
    await client.consume("grading", event)
    return claim


async def panel(
    client: StackClient, appraisal: str
) -> tuple[grading_pb2.Specialist, grading_pb2.Specialist]:
    """A seat of the panel, and a specialist without a seat."""
    stub = client.grading("appraiser")
    drawn = await stub.DrawPanel(
        grading_pb2.DrawPanelRequest(request_id=client.new_id(), name=appraisal)
    )
    pool = await stub.ListSpecialists(grading_pb2.ListSpecialistsRequest())
    seated = {seat.name for seat in drawn.panel}
    (outside,) = (one for one in pool.specialists if one.name not in seated)
    return drawn.panel[0], outside


async def premium(client: StackClient) -> tuple[str, str]:
    await assess(client, 2025, 7)
    bill = await get_bill(client, SWIFT, "2025-07")
    receipt = await receive(client, SWIFT, "2025-07", date(2025, 8, 4), 1, reference="W-1")
    await assign_band(client, SWIFT, "0.80", date(2026, 1, 1))
    return bill.name, receipt.name


async def awards(client: StackClient, claim: str) -> str:
    """A bill that was paid, and one that was paid and reversed and is to be recovered."""
    stub = client.benefits("fund_officer")
    granted = [
        await stub.GrantExpense(
            benefits_pb2.GrantExpenseRequest(
                request_id=client.new_id(),
                claim=claim,
                kind=benefits_pb2.MEDICAL_BENEFIT,
                expense_date=date_to_wire(date(2025, 7, 15) + timedelta(days=number)),
                allowed_cost_fen=50_000,
                bill_number=f"W-{number}",
                institution="First Hospital",
            )
        )
        for number in range(2)
    ]
    await stub.InstructPayments(
        benefits_pb2.InstructPaymentsRequest(
            request_id=client.new_id(), month=month_to_wire(Month(2025, 11))
        )
    )
    await stub.ReverseExpense(
        benefits_pb2.ReverseExpenseRequest(
            request_id=client.new_id(),
            name=granted[1].name,
            code=type_pb2.RECORDED_TWICE,
            reason="twice",
        )
    )
    await client.delivered()
    return granted[0].name


async def missing(client: StackClient, claim: str) -> str:
    event = await record_life_event(
        client, claim=claim, state=benefits_pb2.LifeEvent.MISSING, day=None
    )
    return event.name


async def trued_up(client: StackClient, worker: int) -> str:
    await granted_earlier(client, EARLIER, f"workers/{worker}")
    answer = await client.benefits("fund_officer").TrueUpAwards(
        benefits_pb2.TrueUpAwardsRequest(request_id=client.new_id())
    )
    return answer.true_ups[0].award


async def colleague(client: StackClient) -> str:
    """A person who acts for SWIFT."""
    member = await client.staff("administrator").RegisterStaffMember(
        staff_pb2.RegisterStaffMemberRequest(
            request_id=client.new_id(),
            display_name="Kim",
            identity_number="ID-kim",
            accounts=[account("kim")],
        )
    )
    for _ in range(2):
        await granting(client, "test", member.name, "platform", f"platforms/{SWIFT}")()
    return member.name
