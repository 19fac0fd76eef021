"""Awards: benefits granted to one person, their states and their ids."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum

from services.benefits.domain.figures import AwaitedFigure
from services.benefits.domain.kinds import PER_PERSON, PERIODIC, BenefitKind
from services.benefits.domain.segments import Segment, amount_in
from services.kernel.law import Finding
from services.kernel.lifecycle import Lifecycle
from services.kernel.money import Fen
from services.kernel.names import id_from
from services.kernel.periods import Month

WORKER = "worker"
# Next of kin together: the funeral grant and the death grant are one sum for all of them.
KIN = "kin"
_ID_LENGTH_MAX = 63


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
    },
    {
        "suspend": "停发",
        "resume": "恢复发放",
        "terminate": "终止",
        "reinstate": "重新发放",
    },
)


@dataclass(frozen=True)
class Award:
    """A benefit granted (待遇核定). `claim` is `claims/{id}`; the amount is in fen."""

    id: str
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
    # The figures that it waits for: another one stands in until each is published.
    awaits: tuple[AwaitedFigure, ...] = ()
    # The id of the award that this one corrects for months already paid.
    adjusts: str = ""
    # The last month fixed by an officer, who knows what the law cannot foresee.
    stop_month: Month | None = None
    create_time: datetime | None = None
    revision: int = 1
    # `workers/{id}` and `accidents/{id}`: who was hurt in what. `claim` is the one that granted it.
    worker: str = ""
    accident: str = ""
    # The id of the award of the same accident and kind for which the payments of this one count.
    merged_into: str = ""
    # It reimbursed a bill by mistake: nothing is due.
    is_reversed: bool = False
    # The worker was erased, and the findings cannot be read any more.
    is_erased: bool = False

    @property
    def name(self) -> str:
        """The resource name."""
        return f"awards/{self.id}"

    @property
    def provisional(self) -> bool:
        """Whether it rests on a wage or an income that a later publication replaces."""
        return bool(self.awaits)

    @property
    def periodic(self) -> bool:
        """Whether it is paid every month."""
        return self.kind in PERIODIC and not self.adjusts

    @property
    def pays(self) -> bool:
        """Whether there is a month to pay: its last month does not lie before its first."""
        return self.last_month is None or self.last_month >= self.first_month

    def amount_in(self, month: Month) -> Fen:
        """The amount of a month; zero outside the months of the award."""
        return amount_in(self.segments, self.last_month, month)


def accident_of(award: Award, accident_of_death: str) -> str:
    """The accident for which an award counts; what is paid once per person follows the death."""
    return (accident_of_death if award.kind in PER_PERSON else "") or award.accident


def ended_by_officer(awards: Iterable[Award]) -> dict[tuple[BenefitKind, str], Month]:
    """The last month that an officer has fixed, by kind and beneficiary; the earliest counts."""
    ended: dict[tuple[BenefitKind, str], Month] = {}
    for award in awards:
        if award.stop_month is not None:
            key = (award.kind, award.beneficiary)
            ended[key] = min(award.stop_month, ended.get(key, award.stop_month))
    return ended


def award_id(claim: str, kind: BenefitKind, beneficiary: str, *more: str) -> str:
    """The id of an award, derived from what it is for, so that a repeat names the same award.

    `claim` is `claims/{id}`.
    """
    return _shortened("-".join((claim.rpartition("/")[2], kind.slug, beneficiary, *more)))


def correction_id(award: str, number: int) -> str:
    """The id of the n-th award that makes good what another award paid too little."""
    return _shortened(f"{award}-a{number}")


def _shortened(text: str) -> str:
    """The text, or its beginning and a hash of it where it is too long for a name."""
    if len(text) <= _ID_LENGTH_MAX:
        return text
    digest = id_from(text)
    return f"{text[: _ID_LENGTH_MAX - 1 - len(digest)]}-{digest}"
