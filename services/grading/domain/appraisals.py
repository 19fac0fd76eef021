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
    DOCUMENTS_REQUESTED = 5
    REVOKED = 6


class Applicant(Enum):
    """Who applies for an appraisal (申请人); numbers as in the proto."""

    WORKER = 1
    NEXT_OF_KIN = 2
    PLATFORM = 3
    AGENCY = 4


class Recipient(Enum):
    """On whom a conclusion is served; numbers as in the proto."""

    WORKER = 1
    PLATFORM = 2


class ServiceMeans(Enum):
    """How a conclusion is served (送达方式); numbers as in the proto."""

    HANDED_OVER = 1
    POST = 2
    ELECTRONIC = 3
    LEFT = 4
    PUBLIC_NOTICE = 5


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
    CLAIMS_MERGED = 3
    WORKER_REFUSED = 4
    DECEIT = 5
    APPLICATION_ABANDONED = 6
    CONCLUSION_REVOKED = 7
    APPLICATION_WITHDRAWN = 8


OPEN_STATES = (State.OPENED, State.PANEL_DRAWN, State.DOCUMENTS_REQUESTED)

LIFECYCLE: Lifecycle[State] = Lifecycle(
    {
        "request_documents": {State.OPENED: State.DOCUMENTS_REQUESTED},
        "record_documents": {State.DOCUMENTS_REQUESTED: State.OPENED},
        "abandon": {State.DOCUMENTS_REQUESTED: State.ENDED},
        "exclude": {State.OPENED: State.OPENED, State.PANEL_DRAWN: State.OPENED},
        "withdraw": {State.OPENED: State.ENDED, State.DOCUMENTS_REQUESTED: State.ENDED},
        "draw_panel": {State.OPENED: State.PANEL_DRAWN},
        "recuse": {State.PANEL_DRAWN: State.PANEL_DRAWN},
        "record_opinion": {State.PANEL_DRAWN: State.PANEL_DRAWN},
        "adjourn": {State.PANEL_DRAWN: State.PANEL_DRAWN},
        "defer": {State.OPENED: State.OPENED, State.PANEL_DRAWN: State.OPENED},
        "extend": {State.OPENED: State.OPENED, State.PANEL_DRAWN: State.PANEL_DRAWN},
        "record_absence": {State.OPENED: State.OPENED, State.PANEL_DRAWN: State.PANEL_DRAWN},
        "end": dict.fromkeys(OPEN_STATES, State.ENDED),
        "resume": {State.ENDED: State.OPENED},
        "conclude": {State.PANEL_DRAWN: State.CONCLUDED},
        "serve": {State.CONCLUDED: State.CONCLUDED},
        "correct": {State.CONCLUDED: State.CONCLUDED},
        "revoke": {State.CONCLUDED: State.REVOKED},
    },
    {
        "request_documents": "一次性告知补正",
        "record_documents": "登记补正材料",
        "abandon": "按放弃申请终结",
        "withdraw": "撤回申请",
        "recuse": "专家自行回避",
        "exclude": "专家回避",
        "draw_panel": "抽取专家组",
        "record_opinion": "登记专家意见",
        "adjourn": "休会",
        "defer": "延期鉴定",
        "extend": "延长期限",
        "record_absence": "登记缺席",
        "end": "终结鉴定",
        "resume": "恢复鉴定",
        "conclude": "作出鉴定结论",
        "serve": "送达",
        "correct": "更正",
        "revoke": "撤销结论",
    },
)


@dataclass(frozen=True)
class Injury:
    """The injury of a claim as last determined.

    `claim` and `worker` are resource names. `revision` is the claim's, 0 before any event was
    consumed.
    `appraisable` says whether the claim is confirmed and the worker alive; `invited`, whether a
    disability is expected as well. `platform` is the credit code of the one that bears the case.
    """

    claim: str
    revision: int
    appraisable: bool
    accident_date: date | None = None
    pooling_area: str = ""
    worker: str = ""
    invited: bool = False
    platform: str = ""


@dataclass(frozen=True)
class Application:
    """An application for an appraisal: who applies, and the day on which it was received."""

    applicant: Applicant
    day: date
    inability: str = ""


@dataclass(frozen=True)
class Service:
    """A service of a conclusion (送达): on whom, how, and on which day."""

    recipient: Recipient
    means: ServiceMeans
    day: date


@dataclass(frozen=True)
class Appraisal:
    """An appraisal.

    `number` counts the appraisals of the claim. `claim` and `previous` are resource names. `draw`
    counts the panels drawn, so that an earlier panel stays on record. `care_dependence` and
    `conclude_date` come with the conclusion; `conclusion_number` counts it and its corrections, of
    which `correct_date` is the day of the last.
    """

    id: str
    claim: str
    level: AppraisalLevel
    state: State
    due_date: date
    create_time: datetime
    applicant: Applicant
    application_date: date
    number: int = 1
    previous: str = ""
    documents_date: date | None = None
    not_before: date | None = None
    extended: bool = False
    absence_count: int = 0
    draw: int = 0
    grade: int = NO_GRADE
    care_dependence: CareDependence | None = None
    findings: tuple[Finding, ...] = ()
    conclude_date: date | None = None
    correct_date: date | None = None
    serve_due_date: date | None = None
    conclusion_number: int = 0
    cause: Cause | None = None
    revision: int = 1
    # The worker was erased, and the findings cannot be read any more.
    erased: bool = False

    @property
    def name(self) -> str:
        """The resource name."""
        return appraisal_name(self.id)

    @property
    def has_panel(self) -> bool:
        """Whether the newest panel is that of the appraisal: it was drawn and not released."""
        return self.draw > 0 and self.state not in {State.OPENED, State.DOCUMENTS_REQUESTED}


def appraisal_name(appraisal_id: str) -> str:
    """The resource name of the appraisal with an id."""
    return names.name("appraisals", appraisal_id)
