"""What grading refuses."""

from __future__ import annotations

from services.kernel.problems import Kind, Problem


class AppraisalDeferred(Problem):
    """The appraisal waits for the condition to become stable."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "APPRAISAL_DEFERRED"
    message = "The appraisal is deferred until {until}; draw the panel on that day or later."
    message_zh = "本次鉴定已延期至 {until}; 请于该日或之后抽取专家组。"


class DeferralTooShort(Problem):
    """The new day is earlier than the injury is usually stable."""

    kind, reason = Kind.MALFORMED, "DEFERRAL_TOO_SHORT"
    message = (
        "An injury of the kind {injury} usually needs {months} months from the accident to become "
        "stable; defer until {earliest} or later."
    )
    message_zh = "{injury} 自受伤起一般需 {months} 个月稳定; 请延期至 {earliest} 或之后。"


class PanelSizeWrong(Problem):
    """The law names the sizes of a panel."""

    kind, reason = Kind.MALFORMED, "PANEL_SIZE_WRONG"
    message = "A panel has {sizes} specialists, not {size}; request one of these sizes."
    message_zh = "专家组应由 {sizes} 名专家组成, 不能为 {size} 名。"


class PoolTooSmall(Problem):
    """There are not enough specialists to draw from."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "POOL_TOO_SMALL"
    message = (
        "The pool has {available} eligible specialists for this panel of {size}; "
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
    message = (
        "{specialist} has already given another opinion, which cannot be changed; conclude on the "
        "opinions, or defer."
    )
    message_zh = "{specialist} 已提交不同意见; 意见不得更改, 请据此作出结论或延期。"


class OpinionsMissing(Problem):
    """The committee concludes once every member has given an opinion."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "OPINIONS_MISSING"
    message = "Opinions of {missing} are missing; record them first."
    message_zh = "尚缺 {missing} 的鉴定意见; 请先登记。"


class AppraisalChanged(Problem):
    """The committee read an earlier revision."""

    kind, reason = Kind.RACED, "APPRAISAL_CHANGED"
    message = "The appraisal is at revision {current}, not {read}; read it again, then conclude."
    message_zh = "鉴定已更新至第 {current} 版 (所阅为第 {read} 版); 请重新阅读后再作结论。"


class UnknownItem(Problem):
    """The standard has no such item."""

    kind, reason = Kind.MALFORMED, "UNKNOWN_ITEM"
    message = "The grading standard has no item {item}; use a code of grading_items."
    message_zh = "分级标准中没有条目 {item}; 请使用分级条目代码。"


class ImpairmentContradicts(Problem):
    """The fields of an impairment contradict each other."""

    kind, reason = Kind.MALFORMED, "IMPAIRMENT_CONTRADICTS"
    message = "Item {item}: {what}."
    message_zh = "条目 {item} 填写有矛盾: {what}。"


class AlreadyExtended(Problem):
    """The time limit is extended once."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "ALREADY_EXTENDED"
    message = "The time limit was already extended to {due}; conclude, or defer."
    message_zh = "办理期限已延长至 {due}, 不得再次延长; 请作出结论或延期鉴定。"


class AbsenceRecorded(Problem):
    """An examination is missed once."""

    kind, reason = Kind.DIFFERENT_EXISTS, "ABSENCE_RECORDED"
    message = "The absence of {examination} is already recorded; send the day of another one."
    message_zh = "{examination} 的缺席已登记; 请登记其他检查日期。"


class OtherAppraisalNewer(Problem):
    """Another appraisal of the claim is newer, and the newest one counts."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "OTHER_APPRAISAL_NEWER"
    message = "{newest} is the newest appraisal of the claim; apply on the basis of that one."
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
    """The time limit for a re-appraisal has passed."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "RE_APPRAISAL_TOO_LATE"
    message = "The last day to apply was {last}; a review appraisal is possible from {review}."
    message_zh = "申请再次鉴定的期限至 {last} 已届满; 可自 {review} 起申请复查鉴定。"


class ReviewTooEarly(Problem):
    """A review appraisal is possible some time after the conclusion."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "REVIEW_TOO_EARLY"
    message = "A review appraisal is possible from {first}; apply again then."
    message_zh = "复查鉴定自 {first} 起方可申请; 请届时再提出。"


class LevelWrong(Problem):
    """The requested level cannot follow the previous appraisal."""

    kind, reason = Kind.MALFORMED, "LEVEL_WRONG"
    message = (
        "A {level} cannot follow {previous}; request RE_APPRAISAL or REVIEW of a concluded "
        "appraisal, or for the same level of one that ended."
    )
    message_zh = "{previous} 之后不能申请 {level}; 请申请再次鉴定或复查鉴定, 或恢复已终止的鉴定。"


class SpecialistDiffers(Problem):
    """The number is registered with other particulars."""

    kind, reason = Kind.DIFFERENT_EXISTS, "SPECIALIST_DIFFERS"
    message = (
        "Specialist number {number} is registered with another field or level; use another number."
    )
    message_zh = "专家编号 {number} 已登记且内容不同; 请使用其他编号。"
