"""What benefits knows of a case: the determination, appraisals, and what officers recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import Enum

from services.benefits.domain.kinds import BenefitKind
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.kernel.scheme import AppraisalLevel, CareDependence, Survivor


class CaseState(Enum):
    """The authority's determination of the case."""

    CONFIRMED = 1
    REFUSED = 2
    REVOKED = 3


@dataclass(frozen=True)
class Case:
    """The facts of one determined claim. `claim` is `claims/{id}`."""

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
    level: AppraisalLevel
    grade: int
    care: CareDependence
    conclude_date: date


@dataclass(frozen=True)
class Facts:
    """All facts that a plan of entitlements rests on."""

    case: Case
    conclusions: tuple[Conclusion, ...] = ()
    # The last month that an officer has fixed, by kind and beneficiary.
    ended_by_officer: Mapping[tuple[BenefitKind, str], Month] = field(default_factory=dict)
    # The basic pension in payment from a month on, fen per month.
    pensions: tuple[tuple[Month, Fen], ...] = ()
