"""What benefits knows of a case: the determination, appraisals, and what officers recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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


class CauseOfDeath(Enum):
    """Whether the injury caused the death, numbered as in the proto."""

    INJURY = 1
    OTHER = 2


@dataclass(frozen=True)
class Absence:
    """A worker who has been missing since the accident, as recorded on a day."""

    record_date: date
    survivors: tuple[Survivor, ...]
    hardship: bool


@dataclass(frozen=True)
class Case:
    """The facts of one determined claim. `claim` is `claims/{id}`.

    All claims of a worker about one accident are one case: the leading one decides, and there is
    one set of awards.
    """

    claim: str
    state: CaseState
    pooling_area: str
    industry: int
    accident_date: date
    determine_date: date
    death_date: date | None = None
    survivors: tuple[Survivor, ...] = ()
    # `workers/{id}` and `accidents/{id}`; a claim without an accident is about one by itself.
    worker: str = ""
    accident: str = ""
    # The claim that survived, if this one ended in a merger.
    merged_into: str = ""
    # The old injury of a former soldier relapsed: everything but the disability grant.
    is_relapse: bool = False


@dataclass(frozen=True)
class Conclusion:
    """The conclusion of one appraisal (劳动能力鉴定结论). Grade 0: the injury reaches none."""

    appraisal: str
    level: AppraisalLevel
    grade: int
    care: CareDependence
    conclude_date: date


class EndCause(Enum):
    """Why an appraisal ended without a conclusion, numbered as in the proto of grading."""

    DETERMINATION_WITHDRAWN = 1
    WORKER_ABSENT = 2
    CLAIMS_MERGED = 3
    WORKER_REFUSED = 4
    DECEIT = 5
    APPLICATION_ABANDONED = 6
    CONCLUSION_REVOKED = 7
    APPLICATION_WITHDRAWN = 8


class Applicant(Enum):
    """Who had applied for an appraisal, numbered as in the proto of grading."""

    WORKER = 1
    NEXT_OF_KIN = 2
    PLATFORM = 3
    AGENCY = 4


_REFUSALS = frozenset({EndCause.WORKER_ABSENT, EndCause.WORKER_REFUSED})
# Whoever applied on the worker's side gives up the own application: the conclusion before stands.
_OTHERS = frozenset({Applicant.PLATFORM, Applicant.AGENCY})


@dataclass(frozen=True)
class AppraisalEnd:
    """The end of one appraisal without a conclusion."""

    appraisal: str
    cause: EndCause
    applicant: Applicant
    end_date: date

    @property
    def is_refusal(self) -> bool:
        """Whether the worker does not accept an appraisal (拒不接受劳动能力鉴定).

        Staying away without a good reason counts, which the committee has found; only the appraisal
        that the platform or the agency applied for can be refused.
        """
        return self.cause in _REFUSALS and self.applicant in _OTHERS


@dataclass(frozen=True)
class Facts:
    """All facts that a plan of entitlements rests on."""

    case: Case
    conclusions: tuple[Conclusion, ...] = ()
    # The last month that an officer has fixed, by kind and beneficiary.
    ended_by_officer: Mapping[tuple[BenefitKind, str], Month] = field(default_factory=dict)
    # The basic pension in payment from a month on, fen per month.
    pensions: tuple[tuple[Month, Fen], ...] = ()
    # Whether this is the accident from which a death is compensated.
    bears_death: bool = True
    # The cause of a death after the determination; None where nobody has said it.
    cause: CauseOfDeath | None = None
    absence: Absence | None = None
    # Appraisals that ended without a conclusion.
    ends: tuple[AppraisalEnd, ...] = ()


def leading_case(cases: Sequence[Case]) -> Case:
    """The claim that decides, of all claims of a worker about one accident.

    A claim that survived a merger comes before one that ended in it, a confirmed claim before any
    other, then the one determined first. Which claim became known first plays no part.
    """
    return min(
        cases,
        key=lambda case: (
            bool(case.merged_into),
            case.state is not CaseState.CONFIRMED,
            case.determine_date,
            case.claim,
        ),
    )


def facts_of_case(
    cases: Sequence[Case],
    conclusions: Mapping[str, Sequence[Conclusion]],
    pensions: Mapping[str, Sequence[tuple[Month, Fen]]],
    ended_by_officer: Mapping[tuple[BenefitKind, str], Month],
    ends: Mapping[str, Sequence[AppraisalEnd]],
) -> Facts:
    """The facts of the leading claim, completed by those of the other claims about the accident.

    `conclusions`, `pensions` and `ends` are by claim. One injury is appraised once, so that the
    conclusions of another claim count only where the leading one has none; so does a death.
    """
    case = leading_case(cases)
    others = [each for each in cases if each.claim != case.claim]
    death = next((each for each in others if each.death_date is not None), None)
    if death is not None and case.death_date is None:
        case = replace(case, death_date=death.death_date, survivors=death.survivors)
    concluded = [tuple(conclusions.get(each.claim, ())) for each in (case, *others)]
    amounts: dict[Month, Fen] = {}
    for each in (*others, case):
        amounts |= dict(pensions.get(each.claim, ()))
    return Facts(
        case=case,
        conclusions=next((some for some in concluded if some), ()),
        ended_by_officer=ended_by_officer,
        pensions=tuple(sorted(amounts.items())),
        ends=tuple(end for each in cases for end in ends.get(each.claim, ())),
    )
