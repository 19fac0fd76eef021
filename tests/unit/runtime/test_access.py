"""The reach of callers, also of those for whom a service asks."""

from __future__ import annotations

import pytest
from oip.claims.v1 import claims_pb2
from oip.enrolment.v1 import enrolment_pb2
from oip.orders.v1 import orders_pb2
from oip.type.v1 import type_pb2

from services.kernel.problems import Forbidden
from services.runtime.rpc.access import Caller, on_behalf, require_allowed, rule_of

# Imported so that the pool of descriptors knows their methods.
SERVED = (claims_pb2, enrolment_pb2, orders_pb2)
Access = type_pb2.Access
SERVICE = Caller("services/claims", frozenset({Access.SERVICE}))
AGENT = Caller("app", frozenset({Access.WORKER_AGENT}), person="workers/1")
PLATFORM = Caller("waimai", frozenset({Access.PLATFORM}), "91350100M000100Y43")


def rule(path: str) -> type_pb2.Access:
    found = rule_of(path)
    assert found is not None
    return found


def test_a_service_that_asks_for_a_person_reaches_that_person_alone() -> None:
    who = on_behalf(rule("/oip.enrolment.v1.EnrolmentService/GetWorker"), SERVICE, AGENT)

    assert (who.scope.person, who.scope.everything) == ("workers/1", False)
    assert (who.subject, who.asking_service, who.is_service) == ("app", "services/claims", True)


def test_a_service_that_asks_for_one_without_records_there_is_refused() -> None:
    with pytest.raises(Forbidden):
        on_behalf(rule("/oip.orders.v1.OrderService/FindOrders"), SERVICE, PLATFORM)


def test_where_nothing_belongs_to_anybody_the_service_decides_and_both_are_on_record() -> None:
    who = on_behalf(rule("/oip.orders.v1.OrderService/FreezeOrders"), SERVICE, PLATFORM)

    assert who.scope.everything
    assert (who.subject, who.asking_service) == ("waimai", "services/claims")


def test_only_services_carry_callers_and_only_others_are_carried() -> None:
    access = rule("/oip.enrolment.v1.EnrolmentService/GetWorker")
    for service, original in ((PLATFORM, AGENT), (SERVICE, SERVICE)):
        with pytest.raises(Forbidden):
            on_behalf(access, service, original)


def test_a_role_that_the_method_does_not_list_widens_nothing() -> None:
    areas = frozenset({"440300"})
    both = frozenset({Access.ADJUDICATOR, Access.ADMINISTRATOR})
    who = Caller("li", both, areas=areas)
    bounded = require_allowed(rule("/oip.claims.v1.ClaimService/AcceptClaim"), who)

    assert (bounded.scope.areas, bounded.scope.everything) == (areas, False)
