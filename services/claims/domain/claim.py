"""What a claim is, and which changes its state allows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import Enum

from services.claims.domain.problems import FilingIsPart
from services.claims.domain.time_limits import StepClock
from services.kernel.identifiers import is_division
from services.kernel.lawbook import Law
from services.kernel.lifecycle import Lifecycle
from services.kernel.names import name
from services.kernel.periods import civil_day
from services.kernel.problems import Malformed, OutOfRange
from services.kernel.scheme import Industry, Survivor


class ClaimState(Enum):
    """The states of a claim; numbers as in the proto."""

    FILED = 1
    EVIDENCE_REQUESTED = 2
    ACCEPTED = 3
    STAYED = 4
    DETERMINED = 5
    PENDING = 6
    MERGED = 7


class ClaimantKind(Enum):
    """The kinds of claimant (申请人); numbers as in the proto."""

    WORKER = 1
    PLATFORM = 2
    NEXT_OF_KIN = 3
    TRADE_UNION = 4


class Situation(Enum):
    """The situations of the Measures (职业伤害确认情形); numbers as in the proto."""

    ORDER_EXECUTION = 1
    VIOLENCE = 2
    REQUIRED_TRAVEL = 3
    MISSING = 4
    SUDDEN_ILLNESS = 5
    RESCUE = 6
    WAY_HOME = 7
    RELAPSE = 8


_F, _E, _A, _S, _D, _P, _M = ClaimState

LIFECYCLE = Lifecycle(
    {
        "request_evidence": {_F: _E},
        "add_evidence": {_F: _F, _E: _F, _A: _A, _S: _S, _P: _P},
        "accept": {_F: _A, _E: _A},
        "record_death": {_F: _F, _E: _E, _A: _A, _S: _S, _P: _P},
        "stay": {_A: _S},
        "resume": {_S: _A},
        "determine": {_A: _D},
        "revoke": {_D: _A},
        "take_in_filing": {_F: _F, _E: _E, _A: _A, _S: _S, _D: _D},
        "answer_same": {_P: _M, _M: _M},
        "answer_distinct": {_P: _F, _M: _F},
        "merge": {_F: _M, _E: _M, _A: _M, _S: _M, _D: _M},
    },
    {
        "request_evidence": "一次性告知补正",
        "add_evidence": "补充证据",
        "accept": "受理",
        "record_death": "登记死亡",
        "stay": "时限中止",
        "resume": "恢复时限",
        "determine": "作出结论",
        "revoke": "撤销结论",
        "take_in_filing": "并入另一申请",
        "answer_same": "答复为同一事故",
        "answer_distinct": "答复为不同事故",
        "merge": "合并",
    },
)


@dataclass(frozen=True)
class Enrolment:
    """A platform the worker is enrolled with, since when, and on which day it was sent."""

    platform: str
    enrol_date: date
    send_date: date

    @property
    def insured_from(self) -> date:
        """The first day the enrolment insures by itself: an earlier one than it was sent never."""
        return max(self.enrol_date, self.send_date)


@dataclass(frozen=True)
class Claim:
    """An application for benefits, which includes the confirmation of the injury.

    It is also the filing of the party that sent it: a further filing about the same accident is a
    claim in MERGED, part of `merged_into`.
    """

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
    # The id of the accident; empty in PENDING and MERGED.
    accident: str = ""
    # The id of the claim that it is part of; set in MERGED.
    merged_into: str = ""
    # The credit code of the platform that filed it; empty if another party did.
    filed_by: str = ""
    # The worker was erased: survivors and requested evidence cannot be read any more.
    erased: bool = False

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
    def enrolled_platforms(self) -> tuple[str, ...]:
        """The credit codes of the platforms that the worker is enrolled with."""
        return tuple(sorted({enrolment.platform for enrolment in self.enrolments}))

    def allows(self, event: str) -> bool:
        """Whether the lifecycle has this event in the claim's state."""
        return self.state in LIFECYCLE.table[event]

    def after(self, event: str) -> Claim:
        """The claim in its next state, one revision on.

        Raises FilingIsPart or TransitionNotAllowed.
        """
        if self.merged_into and not self.allows(event):
            raise FilingIsPart(claim=self.name, whole=name("claims", self.merged_into))
        state = LIFECYCLE.after(self.state, event)
        return replace(self, state=state, revision=self.revision + 1)


def reported_death(claim: Claim, filings: Iterable[Claim]) -> Claim | None:
    """The first further filing with a death that the claim does not record; None without one."""
    if claim.death_date is not None:
        return None
    return next(
        (each for each in filings if each.death_date and each.death_date >= claim.accident_day),
        None,
    )


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
        raise Malformed.of(
            "accident_time",
            "IN_THE_FUTURE",
            "it lies in the future; check day and time zone",
            "晚于现在; 请核对日期和时区",
        )
    if not is_division(place):
        raise Malformed.of(
            "place_of_injury",
            "NOT_A_DIVISION",
            "write a division code of six digits, such as 440106",
            "请填写六位行政区划代码, 如 440106",
        )
    if death_date is not None and not civil_day(accident_time) <= death_date <= civil_day(now):
        raise OutOfRange.of("death_date", death_date, civil_day(accident_time), civil_day(now))
    if survivor_count and death_date is None:
        raise Malformed.of(
            "survivors",
            "ONLY_WITH_A_DEATH",
            "they belong to a claim with a day of death; give that too",
            "只有死亡案件才有供养亲属; 请一并填写死亡日期",
        )


def require_in_scheme(accident_time: datetime, law: Law) -> None:
    """Refuse an accident from before the scheme began anywhere."""
    values = law.parameters["scheme_start"].values
    start = min(date.fromisoformat(value.value) for value in values)
    if civil_day(accident_time) < start:
        raise Malformed.of(
            "accident_time",
            "BEFORE_SCHEME",
            "it lies before {start}, when the scheme began",
            "早于制度施行日期 {start}; 请核对",
            start=start,
        )
