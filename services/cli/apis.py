"""The APIs that commands call: service, stub, and the role of the developer's own stack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import grpc
from oip.benefits.v1 import benefits_pb2_grpc
from oip.claims.v1 import accidents_pb2_grpc, claims_pb2_grpc
from oip.enrolment.v1 import enrolment_pb2_grpc
from oip.fund.v1 import fund_pb2_grpc
from oip.grading.v1 import grading_pb2_grpc
from oip.operations.v1 import operations_pb2_grpc
from oip.orders.v1 import orders_pb2_grpc
from oip.premiums.v1 import premiums_pb2_grpc
from oip.staff.v1 import staff_pb2_grpc

Stub = TypeVar("Stub")


@dataclass(frozen=True)
class Api(Generic[Stub]):
    """One gRPC API: the service that serves it, its stub, and the role that most calls need.

    The role counts on a development stack alone, where the command line issues the token.
    """

    service: str
    stub: Callable[[grpc.aio.Channel], Stub]
    role: str


ACCIDENTS = Api("claims", accidents_pb2_grpc.AccidentServiceStub, "adjudicator")
BENEFITS = Api("benefits", benefits_pb2_grpc.BenefitServiceStub, "fund_officer")
CLAIMS = Api("claims", claims_pb2_grpc.ClaimServiceStub, "adjudicator")
ENROLMENT = Api("enrolment", enrolment_pb2_grpc.EnrolmentServiceStub, "administrator")
FUND = Api("fund", fund_pb2_grpc.FundServiceStub, "fund_officer")
GRADING = Api("grading", grading_pb2_grpc.GradingServiceStub, "appraiser")
ORDERS = Api("orders", orders_pb2_grpc.OrderServiceStub, "adjudicator")
PREMIUMS = Api("premiums", premiums_pb2_grpc.PremiumServiceStub, "fund_officer")
STAFF = Api("staff", staff_pb2_grpc.StaffServiceStub, "administrator")


# What every service offers to operators; a command asks which service is meant.
OPERATIONS = Api("", operations_pb2_grpc.OperationsServiceStub, "administrator")


def operations_of(service: str) -> Api[operations_pb2_grpc.OperationsServiceAsyncStub]:
    """What every service offers to operators."""
    return Api(service, operations_pb2_grpc.OperationsServiceStub, "administrator")
