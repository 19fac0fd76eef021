"""No history of revisions and no time of report lets the rules refuse what was known.

If the revisions recorded by the accident say that the worker was executing the order, no later
record makes the finding NOT_MET: the rules confirm it, or a person decides.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.claims.clients import order_evidence
from services.claims.domain import law as provisions
from services.claims.domain.case import Answer, Case, Enquiry
from services.claims.domain.claim import Claim, ClaimantKind, Enrolment, Situation
from services.claims.domain.execution import order_execution
from services.claims.domain.law import law_as_known
from services.claims.domain.order_records import window_terms
from services.kernel.law import Outcome
from services.orders.api.format import found_order
from services.orders.domain.found_orders import find
from services.orders.domain.legs import Leg, leg_of
from services.orders.domain.orders import Record, Report, lateness
from services.orders.domain.row_rules import State
from tests.support.platforms import SWIFT
from tests.support.uploads import NINE, a_record, row

ACCIDENT = NINE + timedelta(hours=3)
WORKER, OTHER = 1, 2
MARGIN = timedelta(hours=4)
JUDGED_AFTER_END = window_terms(law_as_known(date(2025, 7, 10)), ACCIDENT, "440100").question
# Minutes from the accident. No record is older than its own times.
minutes = st.integers(-6, 6).map(lambda count: ACCIDENT + 10 * count * timedelta(minutes=1))


@st.composite
def revisions(draw: st.DrawFn) -> list[Record]:
    """An order's revisions as intake takes them: none is recorded before its times or the last."""
    records: list[Record] = []
    recorded = ACCIDENT - timedelta(hours=1)
    for number in range(1, draw(st.integers(1, 5)) + 1):
        state = draw(st.sampled_from(State))
        accepted = draw(minutes)
        ended = max(accepted, draw(minutes)) if state is not State.ACCEPTED else None
        waited = timedelta(minutes=draw(st.sampled_from((0, 1, 10, 30, 60 * 24))))
        recorded = max(recorded + waited, accepted, ended or accepted)
        values = row(
            "a",
            revision=number,
            worker=draw(st.sampled_from((WORKER, WORKER, OTHER))),
            state=int(state),
            accepted=accepted,
            ended=ended,
        )
        records.append(a_record(values, recorded))
    return records


@settings(max_examples=1500, deadline=None)
@given(records=revisions(), reported=st.none() | st.integers(0, 60 * 24 * 4))
def test_a_moment_known_to_be_covered_is_never_refused_by_rule(
    records: list[Record], reported: int | None
) -> None:
    known = known_leg(records)
    if known is None or not known.covers(ACCIDENT):
        return

    execution = execution_of(records, reported)

    assert execution.finding.outcome in {Outcome.MET, Outcome.UNCLEAR}


@settings(max_examples=1500, deadline=None)
@given(records=revisions(), reported=st.none() | st.integers(0, 60 * 24 * 4))
def test_the_rules_decide_where_no_later_record_says_otherwise(
    records: list[Record], reported: int | None
) -> None:
    known = known_leg(records)
    later = [record for record in records if record.create_time > ACCIDENT]
    if known is None or any(
        record.worker == OTHER
        # Goods of a cancelled order may have been on their way back.
        or record.state in {State.REVERSED, State.CANCELLED}
        # Minutes after an order was completed are judged by a person.
        or timedelta(0) < ACCIDENT - (record.end_time or ACCIDENT) <= JUDGED_AFTER_END
        or record.is_near(ACCIDENT, timedelta(0)) != known.covers(ACCIDENT)
        for record in [known.record, *later]
    ):
        return

    execution = execution_of(records, reported)

    if known.covers(ACCIDENT):
        assert execution.finding.outcome is Outcome.MET
    elif execution.is_open:
        # Execution ends with completion only in principle.
        assert "completed shortly before" in execution.finding.text
    else:
        assert execution.finding.outcome is Outcome.NOT_MET


def known_leg(records: list[Record]) -> Leg | None:
    """The worker's leg by the revisions recorded until the accident."""
    return leg_of([one for one in records if one.create_time <= ACCIDENT], WORKER)


def execution_of(records: list[Record], reported: int | None) -> Answer:
    """The finding on the order in the case of these records."""
    case = a_case(records, reported)
    return order_execution(case, provisions.ORDER_EXECUTION)


def a_case(records: list[Record], reported: int | None) -> Case:
    """The case of a claim whose accident was reported some minutes later, or not yet."""
    reports = []
    if reported is not None:
        reports = [Report(WORKER, ACCIDENT, ACCIDENT + timedelta(minutes=reported))]
    marks = lateness(records, reports)
    marked = [replace(one, late=late) for one, late in zip(records, marks, strict=True)]
    day = date(2025, 7, 10)
    law = law_as_known(day)
    claim = Claim(
        id="c1",
        claimant_kind=ClaimantKind.WORKER,
        worker=WORKER,
        accident_time=ACCIDENT,
        place_of_injury="440100",
        situation=Situation.ORDER_EXECUTION,
        enrolments=(Enrolment(SWIFT, day, day),),
        clock=None,
        create_time=ACCIDENT,
    )
    orders = [
        record
        for order in find(marked, WORKER, ACCIDENT, MARGIN)
        for record in order_evidence(found_order(order), law, WORKER)
    ]
    return Case(claim, tuple(orders), {}, Enquiry(harm_established=True), law)
