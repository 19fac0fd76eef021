"""The events that claims publish, compared whole."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from google.type import date_pb2
from oip.claims.v1 import claims_pb2, events_pb2
from oip.type.v1 import type_pb2

from services.claims import events
from services.claims.domain import transitions
from services.claims.domain.claim import ClaimState
from services.claims.domain.confirmation import determine
from services.kernel.scheme import Relation, Survivor
from services.runtime.base.holidays import work_calendar
from tests.rules.claims.adapter import PLATFORMS, a_case

DAY = date(2025, 7, 15)


def test_a_death_on_two_orders_is_published_whole() -> None:
    case = a_case(
        DAY,
        {
            "place": "440600",
            "death_date": DAY,
            "orders": [{}, {"platform": "B", "order_no": "2"}],
            "enquiry": {"disability_expected": True},
        },
    )
    decision = determine(case, (), work_calendar())
    child = Survivor("child-1", Relation.CHILD, date(2019, 2, 28), male=True)
    claim = replace(
        case.claim,
        state=ClaimState.ACCEPTED,
        revision=4,
        survivors=(child,),
        accident="a1",
    )

    event = events.claim_determined(
        transitions.determine(claim, decision), decision, date(2025, 8, 1)
    )

    assert event == events_pb2.ClaimDetermined(
        claim="claims/c1",
        revision=5,
        outcome=claims_pb2.Determination.CONFIRMED,
        worker="workers/7",
        accident_date=date_pb2.Date(year=2025, month=7, day=15),
        pooling_area="440100",
        industry=type_pb2.INSTANT_DELIVERY,
        place_of_injury="440600",
        disability_expected=False,
        death_date=date_pb2.Date(year=2025, month=7, day=15),
        survivors=[
            claims_pb2.Survivor(
                survivor_id="child-1",
                relation=claims_pb2.Survivor.CHILD,
                birth_date=date_pb2.Date(year=2019, month=2, day=28),
                male=True,
            )
        ],
        determine_date=date_pb2.Date(year=2025, month=8, day=1),
        accident="accidents/a1",
        platform=f"platforms/{PLATFORMS['B']}",
        situation=claims_pb2.ORDER_EXECUTION,
    )
