"""An appraisal (劳动能力鉴定): its values and its lifecycle."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum

from services.grading.domain.grades import NO_GRADE
from services.kernel import names
from services.kernel.law import Finding
from services.kernel.lifecycle import Lifecycle
from services.kernel.scheme import AppraisalLevel, CareDependence


class State(Enum):
    """The states of an appraisal; numbers as in the proto."""

    OPENED = 1
    PANEL_DRAWN = 2
    CONCLUDED = 3
    ENDED = 4


class InjuryKind(Enum):
    """Kinds of injury by the time they take to become stable; names as in deferral_months."""

    SOFT_TISSUE = 1
    SIMPLE_FRACTURE = 2
    FIXATION = 3
    JOINT = 4
    SPINE = 5
    NERVE = 6
    BRAIN = 7
    MENTAL = 8
    EYE = 9


class Cause(Enum):
    """Why an appraisal ends without a conclusion; numbers as in the proto."""

    DETERMINATION_WITHDRAWN = 1
    WORKER_ABSENT = 2


OPEN_STATES = (State.OPENED, State.PANEL_DRAWN)

LIFECYCLE: Lifecycle[State] = Lifecycle(
    {
        "draw_panel": {State.OPENED: State.PANEL_DRAWN},
        "record_opinion": {State.PANEL_DRAWN: State.PANEL_DRAWN},
        "conclude": {State.PANEL_DRAWN: State.CONCLUDED},
        "defer": {State.OPENED: State.OPENED, State.PANEL_DRAWN: State.OPENED},
        "extend": {State.OPENED: State.OPENED, State.PANEL_DRAWN: State.PANEL_DRAWN},
        "record_absence": {State.OPENED: State.OPENED, State.PANEL_DRAWN: State.PANEL_DRAWN},
        "end": {State.OPENED: State.ENDED, State.PANEL_DRAWN: State.ENDED},
        "reopen": {State.ENDED: State.OPENED},
    }
)


@dataclass(frozen=True)
class Injury:
    """The injury of a claim as last determined.

    `claim` is the resource name. `revision` is the claim's, 0 before any event was consumed.
    `appraisable` says whether the claim is confirmed, with a disability expected and the worker
    alive.
    """

    claim: str
    revision: int
    appraisable: bool
    accident_date: date | None = None
    pooling_area: str = ""


@dataclass(frozen=True)
class Appraisal:
    """An appraisal.

    `claim` and `previous` are resource names. `draw` counts the panels drawn, so that an earlier
    panel stays on record. `care_dependence` and `conclude_date` come with the conclusion.
    """

    id: str
    claim: str
    level: AppraisalLevel
    state: State
    due_date: date
    create_time: datetime
    previous: str = ""
    not_before: date | None = None
    extended: bool = False
    absence_count: int = 0
    draw: int = 0
    grade: int = NO_GRADE
    care_dependence: CareDependence | None = None
    findings: tuple[Finding, ...] = ()
    conclude_date: date | None = None
    cause: Cause | None = None
    revision: int = 1

    @property
    def name(self) -> str:
        """The resource name."""
        return appraisal_name(self.id)


def appraisal_name(appraisal_id: str) -> str:
    """The resource name of the appraisal with an id."""
    return names.name("appraisals", appraisal_id)
