"""Random walks over the lifecycle find no state outside of its table, and no clock out of step."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.claims.domain import transitions
from services.claims.domain.claim import (
    LIFECYCLE,
    Claim,
    ClaimantKind,
    ClaimState,
    Enrolment,
    Situation,
)
from services.claims.domain.confirmation import Decision, Result
from services.claims.domain.due_dates import document_check
from services.claims.domain.law import law_as_known
from services.claims.domain.problems import EvidenceRequestedOnce, FilingIsPart
from services.claims.domain.time_limits import Step
from services.kernel.lifecycle import TransitionNotAllowed
from services.runtime.base.holidays import work_calendar

FILED_ON = date(2025, 7, 16)
REFUSED = Decision(Result.REFUSED, (), None, None, disability_expected=False)
README = Path(__file__).parents[3] / "services" / "claims" / "README.md"


def a_claim() -> Claim:
    law = law_as_known(FILED_ON)
    return Claim(
        id="c1",
        claimant_kind=ClaimantKind.WORKER,
        worker=7,
        accident_time=datetime(2025, 7, 15, 2, 20, tzinfo=UTC),
        place_of_injury="440106",
        situation=Situation.ORDER_EXECUTION,
        enrolments=(Enrolment("91350100M000100Y43", date(2025, 7, 1), date(2025, 7, 1)),),
        clock=document_check(FILED_ON, "440106", law),
        create_time=datetime(2025, 7, 16, 1, 0, tzinfo=UTC),
    )


def moved(claim: Claim, event: str, day: date) -> Claim:
    """The claim after an event on a day."""
    law = law_as_known(day)
    moves = {
        "request_evidence": lambda: transitions.request_evidence(claim, ("diagnosis",), day, law),
        "add_evidence": lambda: transitions.add_evidence(claim, day),
        "accept": lambda: transitions.accept(claim, day, law),
        "record_death": lambda: transitions.record_death(
            claim, FILED_ON, (), datetime(2027, 1, 1, tzinfo=UTC)
        ),
        "stay": lambda: transitions.stay(claim, day),
        "resume": lambda: transitions.resume(claim, day),
        "determine": lambda: transitions.determine(claim, REFUSED),
        "revoke": lambda: transitions.revoke(claim, [], day, law),
        "take_in_filing": lambda: transitions.take_in_filing(claim, a_claim()),
        "answer_same": lambda: transitions.answer_same(claim, claim.merged_into or "c2"),
        "answer_distinct": lambda: transitions.answer_distinct(claim, "a2", day, law),
        "merge": lambda: transitions.merge(claim, "c2"),
    }
    return moves[event]()


class ClaimWalk(RuleBasedStateMachine):
    """Days pass and events come in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.claim = a_claim()
        self.day = FILED_ON
        self.was_asked = False

    @rule(days=st.integers(0, 12))
    def days_pass(self, days: int) -> None:
        self.day += timedelta(days=days)

    @rule(event=st.sampled_from(sorted(LIFECYCLE.table)))
    def something_happens(self, event: str) -> None:
        before = self.claim
        if before.state not in LIFECYCLE.table[event]:
            refusal = FilingIsPart if before.merged_into else TransitionNotAllowed
            with pytest.raises(refusal):
                moved(before, event, self.day)
            return
        if event == "request_evidence" and self.was_asked:
            with pytest.raises(EvidenceRequestedOnce):
                moved(before, event, self.day)
            return
        # A filing that is found to be about another accident begins from the start.
        self.was_asked = event != "answer_distinct" and (
            self.was_asked or event == "request_evidence"
        )
        self.claim = moved(before, event, self.day)
        assert self.claim.state is LIFECYCLE.table[event][before.state]
        assert self.claim.revision == before.revision + 1

    @invariant()
    def the_clock_is_that_of_the_state(self) -> None:
        running = self.claim.running_clock
        expected = {
            ClaimState.FILED: Step.DOCUMENT_CHECK,
            ClaimState.EVIDENCE_REQUESTED: Step.EVIDENCE_REPLY,
            ClaimState.ACCEPTED: Step.DETERMINATION,
            ClaimState.STAYED: Step.DETERMINATION,
            ClaimState.DETERMINED: None,
            ClaimState.PENDING: None,
            ClaimState.MERGED: None,
        }
        assert (running.step if running else None) is expected[self.claim.state]

    @precondition(lambda self: self.claim.running_clock is not None)
    @invariant()
    def the_clock_stands_still_exactly_while_stayed(self) -> None:
        assert self.claim.running_clock is not None
        due = self.claim.running_clock.due(work_calendar())
        assert (due is None) == (self.claim.state is ClaimState.STAYED)

    @precondition(lambda self: self.claim.running_clock is not None)
    @invariant()
    def what_is_overdue_has_nothing_left(self) -> None:
        clock = self.claim.running_clock
        assert clock is not None
        calendar = work_calendar()
        due = clock.due(calendar)
        if due is not None:
            assert (clock.remaining(calendar, self.day) < 0) == (due.day < self.day)


TestClaimWalk = ClaimWalk.TestCase


def test_the_readme_shows_the_table() -> None:
    assert LIFECYCLE.diagram() in README.read_text(encoding="utf-8")


@given(st.sampled_from(sorted(LIFECYCLE.table)), st.sampled_from(list(ClaimState)))
def test_an_event_that_is_not_allowed_says_which_state_it_needs(
    event: str, state: ClaimState
) -> None:
    claim = replace(a_claim(), state=state)
    if state in LIFECYCLE.table[event]:
        return

    with pytest.raises(TransitionNotAllowed) as caught:
        moved(claim, event, FILED_ON)

    assert caught.value.facts["state"] == state.name
    assert all(start.name in caught.value.facts["needs"] for start in LIFECYCLE.table[event])
