"""What benefits speaks of: cases, conclusions, survivors, entitlements, awards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum

from services.kernel.law import Finding
from services.kernel.lifecycle import Lifecycle
from services.kernel.money import ZERO, Fen
from services.kernel.names import id_from
from services.kernel.periods import Month

WORKER = "worker"
# Next of kin together: the funeral grant and the death grant are one sum for all of them.
KIN = "kin"
_ID_LENGTH_MAX = 63


class BenefitKind(Enum):
    """The kinds of benefit, numbered as in the proto."""

    MEDICAL_BENEFIT = 1
    REHABILITATION = 2
    ASSISTIVE_DEVICE = 3
    HOSPITAL_MEALS = 4
    TRAVEL = 5
    TREATMENT_ALLOWANCE = 6
    CARE_ALLOWANCE = 7
    DISABILITY_GRANT = 8
    DISABILITY_ALLOWANCE = 9
    DISABILITY_SETTLEMENT = 10
    FUNERAL_GRANT = 11
    DEATH_GRANT = 12
    SURVIVOR_PENSION = 13

    @property
    def slug(self) -> str:
        """As it stands in names: `survivor-pension`."""
        return self.name.lower().replace("_", "-")


PERIODIC = frozenset(
    {
        BenefitKind.CARE_ALLOWANCE,
        BenefitKind.DISABILITY_ALLOWANCE,
        BenefitKind.SURVIVOR_PENSION,
    }
)
EXPENSES = frozenset(
    {
        BenefitKind.MEDICAL_BENEFIT,
        BenefitKind.REHABILITATION,
        BenefitKind.ASSISTIVE_DEVICE,
        BenefitKind.HOSPITAL_MEALS,
        BenefitKind.TRAVEL,
    }
)


class State(Enum):
    """The states of an award. Payment follows months, never the state."""

    IN_PAYMENT = 1
    SUSPENDED = 2
    TERMINATED = 3


LIFECYCLE = Lifecycle(
    {
        "suspend": {State.IN_PAYMENT: State.SUSPENDED},
        "resume": {State.SUSPENDED: State.IN_PAYMENT},
        "terminate": {
            State.IN_PAYMENT: State.TERMINATED,
            State.SUSPENDED: State.TERMINATED,
        },
        "reinstate": {State.TERMINATED: State.IN_PAYMENT},
    }
)


class CareDependence(Enum):
    """How much care a person depends on (生活自理障碍), numbered as in the proto."""

    NONE = 1
    PARTIAL = 2
    MAJOR = 3
    FULL = 4


class Level(Enum):
    """The level of an appraisal, numbered as in the proto."""

    FIRST = 1
    RE_APPRAISAL = 2
    REVIEW = 3


class Relation(Enum):
    """The relation of a survivor to the deceased, numbered as in the proto."""

    SPOUSE = 1
    CHILD = 2
    PARENT = 3
    GRANDPARENT = 4
    GRANDCHILD = 5
    SIBLING = 6


class CaseState(Enum):
    """What the authority has determined of the case."""

    CONFIRMED = 1
    REFUSED = 2
    REVOKED = 3


@dataclass(frozen=True)
class Survivor:
    """Someone whose living came from the deceased (供养亲属)."""

    survivor_id: str
    relation: Relation
    birth_date: date | None
    male: bool = False
    totally_disabled: bool = False
    # A lonely old person (孤寡老人) or an orphan (孤儿).
    alone: bool = False


@dataclass(frozen=True)
class Case:
    """The facts of one determined claim."""

    claim: str
    state: CaseState
    pooling_area: str
    industry: int
    accident_date: date
    determine_date: date
    death_date: date | None = None
    survivors: tuple[Survivor, ...] = ()


@dataclass(frozen=True)
class Conclusion:
    """The conclusion of one appraisal (劳动能力鉴定结论). Grade 0: the injury reaches none."""

    appraisal: str
    level: Level
    grade: int
    care: CareDependence
    conclude_date: date


@dataclass(frozen=True)
class Segment:
    """A monthly amount from a month on, with why it changed."""

    since: Month
    amount: Fen
    reason: str


@dataclass(frozen=True)
class Entitlement:
    """What the law gives one person of one kind, as far as it is known.

    A benefit paid once has one segment, and its last month is its first.
    """

    kind: BenefitKind
    beneficiary: str
    segments: tuple[Segment, ...]
    last_month: Month | None
    event_date: date
    findings: tuple[Finding, ...]
    # It rests on a wage or an income that a later publication replaces.
    provisional: bool = False

    @property
    def first_month(self) -> Month:
        """The first month paid."""
        return self.segments[0].since

    @property
    def amount(self) -> Fen:
        """The sum, or the first sum per month."""
        return self.segments[0].amount

    def amount_in(self, month: Month) -> Fen:
        """What a month brings; zero outside the entitled months."""
        return amount_in(self.segments, self.last_month, month)


@dataclass(frozen=True)
class Award:
    """A benefit granted (待遇核定)."""

    award: str
    claim: str
    kind: BenefitKind
    beneficiary: str
    state: State
    amount: Fen
    first_month: Month
    last_month: Month | None
    pooling_area: str
    industry: int
    event_date: date
    segments: tuple[Segment, ...] = ()
    findings: tuple[Finding, ...] = ()
    provisional: bool = False
    # The award that this one corrects for months already paid.
    adjusts: str = ""
    # The last month fixed by an officer, who knows what the law cannot foresee.
    stop_month: Month | None = None
    create_time: datetime | None = None
    revision: int = 1

    @property
    def name(self) -> str:
        """The resource name."""
        return f"awards/{self.award}"

    @property
    def periodic(self) -> bool:
        """Whether it is paid every month."""
        return self.kind in PERIODIC and not self.adjusts

    def amount_in(self, month: Month) -> Fen:
        """What a month brings; zero outside the entitled months."""
        return amount_in(self.segments, self.last_month, month)


@dataclass(frozen=True)
class Facts:
    """All that a plan of entitlements rests on beside the law."""

    case: Case
    conclusions: tuple[Conclusion, ...] = ()
    # The last month an officer has fixed, by kind and beneficiary.
    stops: Mapping[tuple[BenefitKind, str], Month] = field(default_factory=dict)
    # The basic pension in payment from a month on, fen per month.
    pensions: tuple[tuple[Month, Fen], ...] = ()


def amount_in(segments: tuple[Segment, ...], last_month: Month | None, month: Month) -> Fen:
    """The amount of the last segment begun by a month; zero before the first and after the last."""
    if last_month is not None and month > last_month:
        return ZERO
    begun = [segment for segment in segments if segment.since <= month]
    return begun[-1].amount if begun else ZERO


def clip(segments: tuple[Segment, ...], last_month: Month | None) -> tuple[Segment, ...]:
    """The segments that begin by a last month."""
    return tuple(one for one in segments if last_month is None or one.since <= last_month)


def merge(segments: list[Segment]) -> tuple[Segment, ...]:
    """The segments in order, without those that change nothing; of one month the last counts."""
    merged: list[Segment] = []
    for segment in sorted(segments, key=lambda one: one.since):
        if merged and merged[-1].since == segment.since:
            merged.pop()
        if merged and merged[-1].amount == segment.amount:
            continue
        merged.append(segment)
    return tuple(merged)


def award_id(claim: str, kind: BenefitKind, beneficiary: str, *more: str) -> str:
    """The id of an award, derived from what it is for, so that a re-run names the same one.

    `claim` is `claims/{id}`.
    """
    return _fitting("-".join((claim.rpartition("/")[2], kind.slug, beneficiary, *more)))


def correction_id(award: str, number: int) -> str:
    """The id of the award that makes good what another one paid too little, the n-th time."""
    return _fitting(f"{award}-a{number}")


def _fitting(text: str) -> str:
    """The text, or its beginning and a hash of it where it would be too long for a name."""
    if len(text) <= _ID_LENGTH_MAX:
        return text
    digest = id_from(text)
    return f"{text[: _ID_LENGTH_MAX - 1 - len(digest)]}-{digest}"
