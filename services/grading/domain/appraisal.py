"""An appraisal (劳动能力鉴定): what it is, its lifecycle, and what can be refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum

from services.kernel import names
from services.kernel.law import Finding
from services.kernel.lifecycle import Lifecycle
from services.kernel.problems import Kind, Problem

NO_GRADE = 0
WORST, BEST = 1, 10


class Level(Enum):
    """The levels of appraisal; numbers as in the proto."""

    FIRST = 1
    RE_APPRAISAL = 2
    REVIEW = 3


class State(Enum):
    """The states of an appraisal; numbers as in the proto."""

    OPENED = 1
    PANEL_DRAWN = 2
    CONCLUDED = 3
    ENDED = 4


class CareDependence(Enum):
    """How much care a person depends on (生活自理障碍); a higher number is worse."""

    NONE = 1
    PARTIAL = 2
    MAJOR = 3
    FULL = 4


class CareItem(Enum):
    """The five things of daily life that care dependence is measured by."""

    EATING = 1
    TURNING_OVER = 2
    TOILET = 3
    DRESSING_AND_WASHING = 4
    MOVING_ABOUT = 5


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
    """What was determined of a claim, as far as an appraisal needs it.

    `revision` is the claim's, 0 before anything was heard. `appraisable` says whether the claim is
    confirmed, with a disability expected and the worker alive.
    """

    claim: str
    revision: int
    appraisable: bool
    accident_date: date | None = None
    pooling_area: str = ""


@dataclass(frozen=True)
class Specialist:
    """A specialist of the pool; `number` is the committee's own and stands in place of a name."""

    id: str
    number: str
    field: str
    provincial: bool

    @property
    def name(self) -> str:
        """The resource's name."""
        return names.name("specialists", self.id)


@dataclass(frozen=True)
class Impairment:
    """One item of the standard as a specialist found it.

    `measure` is the measured value where the item is a ladder. `grade_of_injury_alone` is the
    grade without what was there before, where an impairment existed and was not made worse.
    """

    item: str
    pre_existing: bool = False
    worsened: bool = False
    grade_of_injury_alone: int = NO_GRADE
    measure: str = ""


@dataclass(frozen=True)
class Opinion:
    """What one member of the panel found."""

    specialist: str
    impairments: tuple[Impairment, ...]
    care_items: frozenset[CareItem]


@dataclass(frozen=True)
class Appraisal:
    """An appraisal. `draw` counts the panels drawn, so that an earlier one stays on record."""

    id: str
    claim: str
    level: Level
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
        """The resource's name."""
        return names.name("appraisals", self.id)


def severity(grade: int) -> int:
    """A grade on a scale where more is worse: 10 for grade 1, 0 for no grade."""
    return 0 if grade == NO_GRADE else BEST + 1 - grade


def listed(values: Iterable[str]) -> str:
    """Values in a row, for sentences."""
    return ", ".join(values)


class AppraisalDeferred(Problem):
    """The appraisal waits for the condition to become stable."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "APPRAISAL_DEFERRED"
    message = "The appraisal is deferred until {until}; draw the panel on that day or later."
    message_zh = "本次鉴定已延期至 {until}; 请于该日或之后抽取专家组。"


class DeferralTooShort(Problem):
    """The new day is earlier than the injury usually becomes stable."""

    kind, reason = Kind.MALFORMED, "DEFERRAL_TOO_SHORT"
    message = "A {injury} needs {months} months from the accident; defer until {earliest} or later."
    message_zh = "{injury} 自受伤起一般需 {months} 个月稳定; 请延期至 {earliest} 或之后。"


class PanelSizeWrong(Problem):
    """A panel has a size that the law names."""

    kind, reason = Kind.MALFORMED, "PANEL_SIZE_WRONG"
    message = "A panel has {sizes} specialists, not {size}; ask for one of these."
    message_zh = "专家组应由 {sizes} 名专家组成, 不能为 {size} 名。"


class PoolTooSmall(Problem):
    """There are not enough specialists to draw from."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "POOL_TOO_SMALL"
    message = (
        "The pool has {available} specialists who may sit on this panel of {size}; "
        "register more, or draw a smaller panel."
    )
    message_zh = "可抽取的专家仅 {available} 名, 不足 {size} 名; 请补充专家库或缩小专家组。"


class NotOnPanel(Problem):
    """Only members of the panel give opinions."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "NOT_ON_PANEL"
    message = "{specialist} does not sit on the panel of {appraisal}; the members are {panel}."
    message_zh = "{specialist} 不是 {appraisal} 的专家组成员; 成员为 {panel}。"


class OpinionExists(Problem):
    """A member of the panel gives one opinion."""

    kind, reason = Kind.DIFFERENT_EXISTS, "OPINION_EXISTS"
    message = "{specialist} has given another opinion; opinions stand, conclude on them or defer."
    message_zh = "{specialist} 已提交不同意见; 意见不得更改, 请据此作出结论或延期。"


class OpinionsMissing(Problem):
    """The committee concludes when every member has given an opinion."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "OPINIONS_MISSING"
    message = "Opinions of {missing} are missing; record them first."
    message_zh = "尚缺 {missing} 的鉴定意见; 请先登记。"


class AppraisalChanged(Problem):
    """The committee read an earlier revision."""

    kind, reason = Kind.RACED, "APPRAISAL_CHANGED"
    message = "The appraisal is at revision {held}, not {read}; read it again, then conclude."
    message_zh = "鉴定已更新至第 {held} 版 (所阅为第 {read} 版); 请重新阅读后再作结论。"


class UnknownItem(Problem):
    """The standard has no such item."""

    kind, reason = Kind.MALFORMED, "UNKNOWN_ITEM"
    message = "The grading standard has no item {item}; take a code of grading_items."
    message_zh = "分级标准中没有条目 {item}; 请使用分级条目代码。"


class ImpairmentContradicts(Problem):
    """What an impairment says does not fit together."""

    kind, reason = Kind.MALFORMED, "IMPAIRMENT_CONTRADICTS"
    message = "Item {item}: {what}."
    message_zh = "条目 {item} 填写有矛盾: {what}。"


class AlreadyExtended(Problem):
    """The time limit is lengthened once."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "ALREADY_EXTENDED"
    message = "The time limit was lengthened already, until {due}; conclude, or defer."
    message_zh = "办理期限已延长至 {due}, 不得再次延长; 请作出结论或延期鉴定。"


class AbsenceRecorded(Problem):
    """An examination is missed once."""

    kind, reason = Kind.DIFFERENT_EXISTS, "ABSENCE_RECORDED"
    message = "The absence of {examination} is on record; record another examination's day."
    message_zh = "{examination} 的缺席已登记; 请登记其他检查日期。"


class OtherAppraisalOpen(Problem):
    """A claim has one open appraisal at a time, and its newest one counts."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "OTHER_APPRAISAL_NEWER"
    message = "{newest} is the newest appraisal of the claim; ask on the basis of that one."
    message_zh = "{newest} 是该申请的最新鉴定; 请以其为依据提出。"


class NothingToAppraise(Problem):
    """The determination was withdrawn or changed."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "NOTHING_TO_APPRAISE"
    message = "{claim} is not confirmed with a disability to appraise; wait for its determination."
    message_zh = "{claim} 未确认职业伤害或无需鉴定; 请等待确认结论。"


class ReAppraisalFinal(Problem):
    """The provincial committee's conclusion is final."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "RE_APPRAISAL_FINAL"
    message = (
        "A re-appraisal is final; a review is possible from {review} if the condition changes."
    )
    message_zh = "再次鉴定结论为最终结论; 伤情变化的可自 {review} 起申请复查鉴定。"


class ReAppraisalTooLate(Problem):
    """A re-appraisal is asked for soon after the conclusion."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "RE_APPRAISAL_TOO_LATE"
    message = "The last day to ask was {last}; from {review} on a review appraisal is possible."
    message_zh = "申请再次鉴定的期限至 {last} 已届满; 可自 {review} 起申请复查鉴定。"


class ReviewTooEarly(Problem):
    """A review needs time since the conclusion."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "REVIEW_TOO_EARLY"
    message = "A review appraisal is possible from {first} on; ask again then."
    message_zh = "复查鉴定自 {first} 起方可申请; 请届时再提出。"


class LevelWrong(Problem):
    """The level asked for does not follow from the appraisal before."""

    kind, reason = Kind.MALFORMED, "LEVEL_WRONG"
    message = (
        "A {level} cannot follow {previous}; ask for RE_APPRAISAL or REVIEW of a concluded "
        "appraisal, or for the same level of one that ended."
    )
    message_zh = "{previous} 之后不能申请 {level}; 请申请再次鉴定或复查鉴定, 或恢复已终止的鉴定。"


class SpecialistDiffers(Problem):
    """The number is held with other particulars."""

    kind, reason = Kind.DIFFERENT_EXISTS, "SPECIALIST_DIFFERS"
    message = "Specialist number {number} is held with another field or level; use another number."
    message_zh = "专家编号 {number} 已登记且内容不同; 请使用其他编号。"
