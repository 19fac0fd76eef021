"""For each service, a change by a call and one by an event, whose effects SQL can count.

Every fault test runs over this table, so that no service is left out. A new service needs a row.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any, Protocol, TypeAlias

from google.protobuf.message import Message
from oip.benefits.v1 import benefits_pb2, benefits_pb2_grpc
from oip.benefits.v1 import events_pb2 as benefit_events
from oip.claims.v1 import claims_pb2, claims_pb2_grpc
from oip.claims.v1 import events_pb2 as claim_events
from oip.enrolment.v1 import enrolment_pb2, enrolment_pb2_grpc
from oip.enrolment.v1 import events_pb2 as enrolment_events
from oip.fund.v1 import fund_pb2, fund_pb2_grpc
from oip.grading.v1 import grading_pb2, grading_pb2_grpc
from oip.orders.v1 import orders_pb2, orders_pb2_grpc
from oip.premiums.v1 import premiums_pb2, premiums_pb2_grpc
from oip.staff.v1 import events_pb2 as staff_events
from oip.staff.v1 import staff_pb2, staff_pb2_grpc
from oip.type.v1 import type_pb2

from services.kernel.periods import SHANGHAI, Month
from services.runtime.rpc.client import Channels
from services.runtime.rpc.wire import date_to_wire, moment_to_wire, month_to_wire
from tests.support.platforms import SWIFT, credit_code

AREA = "440100"
DAY = date(2025, 7, 1)
ACCIDENT = datetime(2025, 7, 15, 10, 20, tzinfo=SHANGHAI)
# The claim whose bills are granted.
GRANTED = 99_999
# The run whose payable covers all disbursements.
PAYABLE_FEN = 1_000_000
# A bill of this sum is signed by a second person.
LARGE_FEN = 500_000
# How the names of members that events register begin.
NEW_MEMBERS = "staffMembers/new-"
# How the request ids of changes begin.
CHANGES = "fault-"
# A month before all changes.
WORKED_MONTH = Month(2025, 6)


class ServiceChannels(Protocol):
    """Opens channels to services."""

    def channels(self, *roles: str, platform: str = "") -> Channels:
        """Channels with a token of these roles."""


# Sends change `number` under a request id.
Call: TypeAlias = Callable[[ServiceChannels, int, str], Awaitable[Message]]


@dataclass(frozen=True)
class FaultCase:
    """A service and its countable changes."""

    service: str
    call: Call
    # Rows that calls have made, one each.
    called: str
    # Event `n` of a producer, and the rows that events have made; none if it consumes nothing.
    event: Callable[[int], Message] | None = None
    consumed: str = ""
    # Events that have to be consumed before the first call.
    before: tuple[Message, ...] = ()
    # The services that a call asks, which a test plays.
    asks: tuple[str, ...] = ()
    # Does the work of a month, after which the service ends it; none if that takes no work.
    month: Callable[[ServiceChannels], Awaitable[Message]] | None = None

    def send(
        self, serving: ServiceChannels, number: int, *, id_of: int | None = None
    ) -> Awaitable[Message]:
        """Send change `number` under its own request id, or under that of another change."""
        return self.call(serving, number, f"{CHANGES}{number if id_of is None else id_of}")


def determined(number: int) -> claim_events.ClaimDetermined:
    """A claim that was confirmed, of another worker each."""
    return claim_events.ClaimDetermined(
        claim=f"claims/c{number}",
        revision=3,
        outcome=claims_pb2.Determination.CONFIRMED,
        worker=f"workers/{number + 1}",
        accident_date=date_to_wire(DAY),
        determine_date=date_to_wire(DAY + timedelta(days=19)),
        pooling_area=AREA,
        place_of_injury=AREA,
        industry=type_pb2.INSTANT_DELIVERY,
        disability_expected=True,
    )


def instructed(number: int, amount: int = 1) -> benefit_events.PaymentInstructed:
    """Payments of a month, in the run's addition `number`."""
    return benefit_events.PaymentInstructed(
        payment_run="paymentRuns/2025-07",
        revision=number + 1,
        month=month_to_wire(Month(2025, 7)),
        accounting_month=month_to_wire(Month(2025, 7)),
        part=benefits_pb2.PaymentRun.Part(
            pooling_area=AREA,
            industry=type_pb2.INSTANT_DELIVERY,
            kind=benefits_pb2.MEDICAL_BENEFIT,
            payment_count=1,
            sum_fen=amount,
        ),
    )


async def register_platform(serving: ServiceChannels, number: int, request_id: str) -> Any:
    stub = serving.channels("administrator").stub(
        enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment"
    )
    return await stub.RegisterPlatform(
        enrolment_pb2.RegisterPlatformRequest(
            request_id=request_id,
            credit_code=credit_code(number),
            display_name=f"Company {number}",
            industries=[type_pb2.RIDE_HAILING],
        )
    )


async def declare_totals(serving: ServiceChannels, number: int, request_id: str) -> Any:
    platform, day = f"platforms/{SWIFT}", DAY + timedelta(days=number)
    stub = serving.channels("platform", platform=SWIFT).stub(
        orders_pb2_grpc.OrderServiceStub, "orders"
    )
    return await stub.DeclareOrderTotals(
        orders_pb2.DeclareOrderTotalsRequest(
            request_id=request_id,
            platform=platform,
            service_date=date_to_wire(day),
            order_count=3,
            tallies=[
                orders_pb2.OrderTally(
                    platform=platform,
                    pooling_area=AREA,
                    industry=type_pb2.RIDE_HAILING,
                    service_date=date_to_wire(day),
                    order_count=3,
                )
            ],
        )
    )


async def assign_band(serving: ServiceChannels, number: int, request_id: str) -> Any:
    stub = serving.channels("fund_officer").stub(premiums_pb2_grpc.PremiumServiceStub, "premiums")
    return await stub.AssignExperienceBand(
        premiums_pb2.AssignExperienceBandRequest(
            request_id=request_id,
            platform=f"platforms/{credit_code(number)}",
            since_date=date_to_wire(DAY),
            band="0.80",
            reason="notice",
        )
    )


async def assess_month(serving: ServiceChannels) -> Any:
    stub = serving.channels("fund_officer").stub(premiums_pb2_grpc.PremiumServiceStub, "premiums")
    return await stub.AssessPremiums(
        premiums_pb2.AssessPremiumsRequest(request_id="month", month=month_to_wire(WORKED_MONTH))
    )


async def instruct_month(serving: ServiceChannels) -> Any:
    stub = serving.channels("fund_officer").stub(benefits_pb2_grpc.BenefitServiceStub, "benefits")
    return await stub.InstructPayments(
        benefits_pb2.InstructPaymentsRequest(request_id="month", month=month_to_wire(WORKED_MONTH))
    )


async def report_accident(serving: ServiceChannels, number: int, request_id: str) -> Any:
    return await report_accident_of(serving, number + 1, request_id)


async def report_accident_of(serving: ServiceChannels, worker: int, request_id: str) -> Any:
    stub = serving.channels("adjudicator").stub(claims_pb2_grpc.ClaimServiceStub, "claims")
    return await stub.ReportAccident(
        claims_pb2.ReportAccidentRequest(
            request_id=request_id,
            worker=f"workers/{worker}",
            accident_time=moment_to_wire(ACCIDENT),
            place_of_injury="440106",
            description="Collision.",
        )
    )


def worker_erased(number: int) -> enrolment_events.WorkerErased:
    """A worker was erased, another one each."""
    return enrolment_events.WorkerErased(
        worker=f"workers/{1_000_000 + number}",
        code=type_pb2.RETENTION_ENDED,
        document_number=f"2025-{number}",
        document_hash=bytes(32),
    )


async def register_specialist(serving: ServiceChannels, number: int, request_id: str) -> Any:
    stub = serving.channels("administrator").stub(grading_pb2_grpc.GradingServiceStub, "grading")
    return await stub.RegisterSpecialist(
        grading_pb2.RegisterSpecialistRequest(
            request_id=request_id,
            specialist_number=f"A{number:04d}",
            field="orthopaedics",
            member=f"staffMembers/s{number}",
        )
    )


async def grant_expense(serving: ServiceChannels, number: int, request_id: str) -> Any:
    stub = serving.channels("fund_officer").stub(benefits_pb2_grpc.BenefitServiceStub, "benefits")
    return await stub.GrantExpense(
        benefits_pb2.GrantExpenseRequest(
            request_id=request_id,
            claim=f"claims/c{GRANTED}",
            kind=benefits_pb2.MEDICAL_BENEFIT,
            expense_date=date_to_wire(DAY + timedelta(days=4)),
            allowed_cost_fen=LARGE_FEN + number,
            bill_number=f"B{number}",
            institution="providers/p1",
            document_hash=sha256(f"bill {number}".encode()).digest(),
        )
    )


async def record_disbursement(serving: ServiceChannels, number: int, request_id: str) -> Any:
    stub = serving.channels("fund_officer").stub(fund_pb2_grpc.FundServiceStub, "fund")
    return await stub.RecordDisbursement(
        fund_pb2.RecordDisbursementRequest(
            request_id=request_id,
            payment_run="paymentRuns/2025-07",
            pooling_area=AREA,
            disburse_date=date_to_wire(date(2025, 8, 20)),
            amount_fen=1,
            bank_reference=f"BANK-{number}",
        )
    )


async def register_member(serving: ServiceChannels, number: int, request_id: str) -> Any:
    stub = serving.channels("administrator").stub(staff_pb2_grpc.StaffServiceStub, "staff")
    return await stub.RegisterStaffMember(
        staff_pb2.RegisterStaffMemberRequest(
            request_id=request_id,
            display_name=f"Person {number}",
            identity_number=f"ID-{number}",
            accounts=[staff_pb2.Account(issuer="fault", subject=f"person-{number}")],
        )
    )


def workers_enrolled(number: int) -> enrolment_events.WorkersEnrolled:
    """One more worker of a platform."""
    return enrolment_events.WorkersEnrolled(
        platform=f"platforms/{SWIFT}", workers=[1_000_000 + number]
    )


def platform_registered(number: int) -> enrolment_events.PlatformRegistered:
    """One more platform."""
    return enrolment_events.PlatformRegistered(
        platform=f"platforms/{credit_code(number)}", revision=1, industries=[type_pb2.RIDE_HAILING]
    )


def staff_changed(number: int) -> staff_events.StaffChanged:
    """One more person of the staff register."""
    account = staff_pb2.Account(issuer="fault", subject=f"new-{number}")
    return staff_events.StaffChanged(
        member=f"{NEW_MEMBERS}{number}", revision=1, accounts=[account]
    )


SWIFT_REGISTERED = enrolment_events.PlatformRegistered(
    platform=f"platforms/{SWIFT}", revision=1, industries=[type_pb2.RIDE_HAILING]
)

CASES = (
    FaultCase(
        "enrolment",
        register_platform,
        "select count(*) from enrolment.platform",
        staff_changed,
        f"select count(*) from enrolment.staff_member where member like '{NEW_MEMBERS}%'",
    ),
    FaultCase(
        "orders",
        declare_totals,
        "select count(*) from orders.order_totals",
        workers_enrolled,
        "select count(*) from orders.platform_worker",
        before=(SWIFT_REGISTERED,),
    ),
    FaultCase(
        "premiums",
        assign_band,
        "select count(*) from premiums.term",
        platform_registered,
        "select count(*) from premiums.platform",
        month=assess_month,
    ),
    FaultCase(
        "claims",
        report_accident,
        "select count(*) from claims.accident_report",
        worker_erased,
        "select count(*) from claims.erasure where erase_time is not null",
        asks=("enrolment", "orders"),
    ),
    FaultCase(
        "grading",
        register_specialist,
        "select count(*) from grading.specialist",
        determined,
        "select count(*) from grading.injury where revision > 0",
    ),
    FaultCase(
        "benefits",
        grant_expense,
        "select count(*) from benefits.award",
        determined,
        f"select count(*) from benefits.case_facts where claim <> 'claims/c{GRANTED}'",
        before=(determined(GRANTED),),
        month=instruct_month,
    ),
    FaultCase(
        "fund",
        record_disbursement,
        "select count(*) from fund.disbursement",
        instructed,
        "select count(*) from fund.ledger_transaction where source like 'paymentRuns/%'"
        f" and source not like '%/additions/{GRANTED + 1}/%'",
        before=(instructed(GRANTED, PAYABLE_FEN),),
    ),
    FaultCase("staff", register_member, "select count(*) from staff.member"),
)
