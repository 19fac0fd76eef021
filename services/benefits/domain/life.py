"""What officers record of a worker after the determination: dead, missing, or alive after all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import Enum

from services.benefits.domain import law as rules
from services.benefits.domain.case import Absence, Case, CauseOfDeath, Facts
from services.benefits.domain.problems import CauseNeeded
from services.kernel.law import Finding, Outcome
from services.kernel.problems import Malformed, OutOfRange
from services.kernel.scheme import Survivor

SURVIVORS_MAX = 30


class LifeState(Enum):
    """Whether a worker lives, numbered as in the proto."""

    DEAD = 1
    MISSING = 2
    # A missing person has come back, or a record was a mistake.
    ALIVE = 3


@dataclass(frozen=True)
class LifeEvent:
    """A fact about a worker's life (生存状况); the latest one counts.

    `claim` is the claim of the injury, and `cause` whether the injury caused the death. `day` is
    the day of death or return; a missing person has none, because months count from the accident.
    """

    id: str
    claim: str
    worker: str
    state: LifeState
    day: date | None
    cause: CauseOfDeath | None
    hardship: bool
    survivors: tuple[Survivor, ...]
    # SHA-256 of the death certificate, the judgment, or the report of the police.
    document_hash: bytes
    reason: str
    record_date: date
    member: str = ""
    findings: tuple[Finding, ...] = ()
    create_time: datetime | None = None

    @property
    def name(self) -> str:
        """The resource name."""
        return f"lifeEvents/{self.id}"


@dataclass(frozen=True)
class Life:
    """What counts of a worker's life events: a death, and an absence that came before it."""

    last: LifeEvent | None = None
    death: LifeEvent | None = None
    missing: LifeEvent | None = None


def life_of(events: Iterable[LifeEvent]) -> Life:
    """What counts of events in the order of their recording."""
    life = Life()
    for event in events:
        if event.state is LifeState.ALIVE:
            life = Life(event)
        elif event.state is LifeState.MISSING:
            life = Life(event, missing=event)
        else:
            life = Life(event, death=event, missing=life.missing)
    return life


def with_life(facts: Facts, life: Life, claims: Collection[str]) -> Facts:
    """The facts of an accident with what was recorded of the worker's life.

    `claims` are those about the accident. A death ends the benefits of every accident of the
    person, whatever its cause; its cause is an injury only for the accident on which it was
    recorded. A determination with a death that is newer than the record counts in its place.
    """
    case, last = facts.case, life.last
    if last is None or (case.death_date is not None and last.record_date < case.determine_date):
        return facts
    absence = _absence(life.missing, claims)
    if life.death is None:
        return replace(facts, case=replace(case, death_date=None, survivors=()), absence=absence)
    of_this_injury = life.death.claim in claims
    return replace(
        facts,
        case=replace(case, death_date=life.death.day, survivors=life.death.survivors),
        cause=life.death.cause if of_this_injury else CauseOfDeath.OTHER,
        absence=absence,
    )


def _absence(missing: LifeEvent | None, claims: Collection[str]) -> Absence | None:
    if missing is None or missing.claim not in claims:
        return None
    return Absence(missing.record_date, missing.survivors, hardship=missing.hardship)


def require_possible(
    event: LifeEvent, case: Case, earlier: Sequence[LifeEvent], today: date
) -> None:
    """Refuse what cannot be: a death before the accident, the return of somebody who never left."""
    if event.state is LifeState.MISSING:
        if event.day is not None:
            raise Malformed.leave_out(
                "day",
                "ABSENCE_COUNTS_FROM_ACCIDENT",
                "the months of absence count from the accident",
                "失踪月数自事故之日起算",
            )
    elif event.day is None or not case.accident_date <= event.day <= today:
        raise Malformed.of(
            "day",
            "DAY_OUT_OF_CASE",
            "give a day from {first} to {last}",
            "请填写 {first} 至 {last} 之间的日期",
            first=case.accident_date,
            last=today,
        )
    if event.cause is not None and event.state is not LifeState.DEAD:
        raise Malformed.leave_out(
            "cause", "ONLY_A_DEATH_HAS_A_CAUSE", "only a death has a cause", "仅死亡须填写死因"
        )
    if event.hardship and event.state is not LifeState.MISSING:
        raise Malformed.leave_out(
            "hardship",
            "ONLY_FOR_THE_MISSING",
            "only for a missing person half is advanced",
            "仅下落不明者可预支一半",
        )
    if event.survivors and event.state is LifeState.ALIVE:
        raise Malformed.leave_out(
            "survivors", "WORKER_IS_ALIVE", "the worker is alive", "该人员健在"
        )
    if len(event.survivors) > SURVIVORS_MAX:
        raise OutOfRange.of("survivors", len(event.survivors), 0, SURVIVORS_MAX)
    if event.state is LifeState.ALIVE and not earlier and case.death_date is None:
        raise Malformed.of(
            "state",
            "NOTHING_TO_UNDO",
            "choose one of {choices}; nothing is recorded that could be undone",
            "请选择 {choices}; 没有可撤销的记录",
            choices=(LifeState.DEAD, LifeState.MISSING),
        )


def require_cause(event: LifeEvent, findings: Iterable[Finding]) -> None:
    """Raise CauseNeeded for a death whose cause decides and has not been said."""
    if event.state is not LifeState.DEAD or event.cause is not None:
        return
    for finding in findings:
        if finding.provision == rules.LATER_DEATH and finding.outcome is Outcome.UNCLEAR:
            raise CauseNeeded(field="cause", claim=event.claim)
