"""What a claim is, and which changes its state allows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import Enum

from services.claims.domain.time_limits import StepClock
from services.kernel.identifiers import is_division
from services.kernel.lifecycle import Lifecycle
from services.kernel.names import name
from services.kernel.periods import civil_day
from services.kernel.problems import Malformed
from services.kernel.scheme import Industry, Survivor


class ClaimState(Enum):
    """The states of a claim; numbers as in the proto."""

    FILED = 1
    EVIDENCE_REQUESTED = 2
    ACCEPTED = 3
    STAYED = 4
    DETERMINED = 5


class ClaimantKind(Enum):
    """The kinds of claimant (申请人); numbers as in the proto."""

    WORKER = 1
    PLATFORM = 2
    NEXT_OF_KIN = 3
    TRADE_UNION = 4


class Situation(Enum):
    """The six situations (六种情形); numbers as in the proto."""

    ORDER_EXECUTION = 1
    VIOLENCE = 2
    REQUIRED_TRAVEL = 3
    MISSING = 4
    SUDDEN_ILLNESS = 5
    RESCUE = 6


_F, _E, _A, _S, _D = ClaimState

LIFECYCLE = Lifecycle(
    {
        "request_evidence": {_F: _E},
        "add_evidence": {_F: _F, _E: _F, _A: _A, _S: _S},
        "accept": {_F: _A, _E: _A},
        "record_death": {_F: _F, _E: _E, _A: _A, _S: _S},
        "stay": {_A: _S},
        "resume": {_S: _A},
        "determine": {_A: _D},
        "revoke": {_D: _A},
    }
)


@dataclass(frozen=True)
class Enrolment:
    """A platform the worker is enrolled with, and since when."""

    platform: str
    enrol_date: date


@dataclass(frozen=True)
class Claim:
    """An application for benefits, which includes the confirmation of the injury."""

    id: str
    claimant_kind: ClaimantKind
    worker: int
    accident_time: datetime
    # The division code of the place of injury.
    place_of_injury: str
    situation: Situation
    enrolments: tuple[Enrolment, ...]
    clock: StepClock | None
    create_time: datetime
    filed_late: bool = False
    revision: int = 1
    state: ClaimState = ClaimState.FILED
    death_date: date | None = None
    survivors: tuple[Survivor, ...] = ()
    accident_report: str = ""
    pooling_area: str = ""
    industry: Industry | None = None
    requested_evidence: tuple[str, ...] = ()
    reply: StepClock | None = None

    @property
    def name(self) -> str:
        """`claims/{id}`."""
        return name("claims", self.id)

    @property
    def running_clock(self) -> StepClock | None:
        """The clock whose time is due next: the claimant's reply before the authority's step."""
        return self.reply or self.clock

    @property
    def accident_day(self) -> date:
        """The day of the accident in Asia/Shanghai."""
        return civil_day(self.accident_time)

    @property
    def platforms(self) -> tuple[str, ...]:
        """The credit codes of the platforms that may see the claim."""
        return tuple(sorted({enrolment.platform for enrolment in self.enrolments}))

    def allows(self, event: str) -> bool:
        """Whether the lifecycle has this event in the claim's state."""
        return self.state in LIFECYCLE.table[event]

    def after(self, event: str) -> Claim:
        """The claim in its next state, one revision on; raises TransitionNotAllowed."""
        state = LIFECYCLE.after(self.state, event)
        return replace(self, state=state, revision=self.revision + 1)


SURVIVORS_MAX = 30


def require_possible(
    accident_time: datetime,
    place: str,
    death_date: date | None,
    survivor_count: int,
    now: datetime,
) -> None:
    """Refuse what cannot be: an accident to come, a death before it, survivors of the living.

    `place` is a division code. Raises Malformed with the name of the field.
    """
    if accident_time > now:
        raise Malformed.of("accident_time", "lies in the future; check day and time zone")
    if not is_division(place):
        raise Malformed.of("place_of_injury", "write a division code of six digits, as 440106")
    if death_date is not None and not civil_day(accident_time) <= death_date <= civil_day(now):
        raise Malformed.of("death_date", "lies before the accident or in the future")
    if survivor_count and death_date is None:
        raise Malformed.of("survivors", "belong to a claim with a day of death; give death_date")
    if survivor_count > SURVIVORS_MAX:
        raise Malformed.of("survivors", f"name at most {SURVIVORS_MAX}")
