"""What grading refuses."""

from __future__ import annotations

from services.kernel.problems import Kind, Problem


class ApplicantNotCaller(Problem):
    """Somebody applies for somebody else."""

    kind, reason = Kind.FORBIDDEN, "APPLICANT_NOT_CALLER"
    message = "This account does not apply as {applicant}; apply as one of {allowed}."
    message_zh = "该账号不能以{applicant}身份申请; 可用身份: {allowed}。"


class NotYourApplication(Problem):
    """An application is withdrawn by its applicant."""

    kind, reason = Kind.FORBIDDEN, "NOT_YOUR_APPLICATION"
    message = (
        "The {applicant} made this application; let the {applicant} withdraw it, or the committee "
        "on paper."
    )
    message_zh = "该申请由{applicant}提出; 请由其本人撤回, 或由鉴定委员会代为登记。"


class PanelDrawn(Problem):
    """An application is not withdrawn once the panel is known."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "PANEL_DRAWN"
    message = (
        "The panel of {appraisal} is drawn, so the application cannot be withdrawn any more; come "
        "to the examination, or ask the committee to defer it."
    )
    message_zh = "{appraisal} 的专家组已抽取, 不能再撤回申请; 请参加现场鉴定, 或请鉴定委员会延期。"


class AgencyReviewsOnly(Problem):
    """The agency applies for a review alone."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "AGENCY_REVIEWS_ONLY"
    message = (
        "The agency applies for a review alone, not for a {level}; let the worker or the platform "
        "apply."
    )
    message_zh = "经办机构只能申请复查鉴定, 不能申请{level}; 请由本人或平台企业申请。"


class InabilityMissing(Problem):
    """Next of kin apply where the worker is unable to."""

    kind, reason = Kind.MALFORMED, "INABILITY_MISSING"
    message = "Next of kin apply where the worker is unable to; write why, or let the worker apply."
    message_zh = "近亲属仅在本人不能申请时申请; 请说明原因, 或由本人申请。"


class AppraisalOpen(Problem):
    """A claim has one open appraisal at a time."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "APPRAISAL_OPEN"
    message = "{appraisal} of this claim is open; wait for its conclusion."
    message_zh = "该申请的 {appraisal} 正在办理; 请等待其结论。"


class AlreadyAppraised(Problem):
    """The injury has a conclusion."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "ALREADY_APPRAISED"
    message = (
        "{concluded} has concluded on this injury; apply for a re-appraisal or a review of it."
    )
    message_zh = "该伤情已有鉴定结论 {concluded}; 请申请再次鉴定或复查鉴定。"


class DocumentsRequestedBefore(Problem):
    """Missing documents are asked for once."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "DOCUMENTS_REQUESTED_BEFORE"
    message = (
        "Missing documents were asked for once already, until {until}; go on with what is there."
    )
    message_zh = "已一次性告知补正 (至 {until}), 不得再次要求; 请据现有材料办理。"


class DocumentsRequestedLate(Problem):
    """Missing documents are asked for within some working days."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "DOCUMENTS_REQUESTED_LATE"
    message = (
        "The last day to ask for missing documents was {last}; the application counts as complete: "
        "go on with it."
    )
    message_zh = "一次性告知补正的期限至 {last} 已届满, 视为材料齐全; 请继续办理。"


class DocumentsNotOverdue(Problem):
    """The applicant has time until a day."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "DOCUMENTS_NOT_OVERDUE"
    message = "The applicant has time until the end of {until}; wait for that day to pass."
    message_zh = "补正期限至 {until} 尚未届满; 请待期满后办理。"


class ConclusionContested(Problem):
    """A conclusion that a re-appraisal has replaced is not in force."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "CONCLUSION_CONTESTED"
    message = (
        "The conclusion of {appraisal} was replaced by {re_appraisal}; correct or revoke that one."
    )
    message_zh = "{appraisal} 的结论已由 {re_appraisal} 取代; 请更正或撤销后者。"


class CorrectionChangesNothing(Problem):
    """A correction leads to the same grade and care dependence."""

    kind, reason = Kind.MALFORMED, "CORRECTION_CHANGES_NOTHING"
    message = (
        "The correction leads to the same grade {grade} and the same care dependence; state what "
        "should have been found, or leave the conclusion."
    )
    message_zh = (
        "更正后等级 ({grade} 级) 和护理依赖程度均未变化; 请填写应认定的内容, 或维持原结论。"
    )


class TermRunning(Problem):
    """A specialist has a term that has not begun."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "TERM_RUNNING"
    message = "{specialist} is appointed until {last} already; renew the term once it has begun."
    message_zh = "{specialist} 已续聘至 {last}; 请待该聘期开始后再续聘。"


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
    message_zh = "{injury}自受伤起一般需 {months} 个月稳定; 请延期至 {earliest} 或之后。"


class PanelSizeWrong(Problem):
    """The law names the sizes of a panel."""

    kind, reason = Kind.MALFORMED, "PANEL_SIZE_WRONG"
    message = "A panel cannot have {size} specialists; request one of these sizes: {sizes}."
    message_zh = "专家组不能为 {size} 名; 可选的人数: {sizes}。"


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


class NotYourSeat(Problem):
    """A specialist gives one's own opinion, and nobody else's."""

    kind, reason = Kind.FORBIDDEN, "NOT_YOUR_SEAT"
    message = "{specialist} is another person; only that person gives this opinion."
    message_zh = "{specialist} 并非您本人; 鉴定意见须由专家本人提交。"


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
    message = (
        "The grading standard has no item {item}; search the items by words, region or number."
    )
    message_zh = "分级标准中没有条目 {item}; 请按文字、部位或编号检索。"


class UnknownFamily(Problem):
    """The standard has no such family of measured findings."""

    kind, reason = Kind.MALFORMED, "UNKNOWN_FAMILY"
    message = "The grading standard has no family {family}; use one of {families}."
    message_zh = "分级标准中没有测量类别 {family}; 请使用 {families} 之一。"


class MeasurementWrong(Problem):
    """A measured value of a family is missing or cannot be read."""

    kind, reason = Kind.MALFORMED, "MEASUREMENT_WRONG"
    message = "{family}, {measure}: write {form}."
    message_zh = "{family}的{measure}: 请填写 {form}。"


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


class NotResumable(Problem):
    """Only the end by an absence, a refusal or deceit is taken back."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "NOT_RESUMABLE"
    message = (
        "{appraisal} was not ended by an absence, a refusal or deceit, or another appraisal has "
        "followed; apply for a new one."
    )
    message_zh = "{appraisal} 并非因缺席、拒绝或弄虚作假终止, 或其后已有其他鉴定; 请重新申请。"


class AbsenceRecorded(Problem):
    """An examination is missed once."""

    kind, reason = Kind.DIFFERENT_EXISTS, "ABSENCE_RECORDED"
    message = "The absence of {examination} is already recorded; send the day of another one."
    message_zh = "{examination} 的缺席已登记; 请登记其他检查日期。"


class OtherAppraisalNewer(Problem):
    """Another conclusion of the claim is newer, and the newest one counts."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "OTHER_APPRAISAL_NEWER"
    message = "{newest} is the newest conclusion of the claim; apply on the basis of that one."
    message_zh = "{newest} 是该申请的最新结论; 请以其为依据提出。"


class NothingToAppraise(Problem):
    """The claim is not confirmed, or the worker is dead."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "NOTHING_TO_APPRAISE"
    message = "{claim} is not a confirmed injury of a living worker; wait for its determination."
    message_zh = "{claim} 未确认职业伤害, 或本人已死亡; 请等待确认结论。"


class ReAppraisalFinal(Problem):
    """The provincial committee's conclusion is final."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "RE_APPRAISAL_FINAL"
    message = (
        "A re-appraisal is final, and neither reconsideration nor a lawsuit is open against it; "
        "apply for a review from {review} on if the condition changes."
    )
    message_zh = (
        "再次鉴定结论为最终结论, 不能申请行政复议或提起行政诉讼; "
        "伤情变化的可自 {review} 起申请复查鉴定。"
    )


class ReAppraisalTooLate(Problem):
    """The time limit for a re-appraisal has passed."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "RE_APPRAISAL_TOO_LATE"
    message = (
        "The last day to apply was {last}, and neither reconsideration nor a lawsuit is open; "
        "apply for a review from {review} on."
    )
    message_zh = (
        "申请再次鉴定的期限至 {last} 已届满, 且不能申请行政复议或提起行政诉讼; "
        "可自 {review} 起申请复查鉴定。"
    )


class ReviewTooEarly(Problem):
    """A review appraisal is possible some time after the conclusion."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "REVIEW_TOO_EARLY"
    message = "A review appraisal is possible from {first}; apply again then."
    message_zh = "复查鉴定自 {first} 起方可申请; 请届时再提出。"


class LevelWrong(Problem):
    """The requested level cannot follow the previous appraisal."""

    kind, reason = Kind.MALFORMED, "LEVEL_WRONG"
    message = (
        "A {level} cannot follow {previous}; apply for a re-appraisal or a review of a conclusion "
        "in force, or for the first appraisal of a claim without one."
    )
    message_zh = (
        "{previous} 之后不能申请{level}; 有结论的请申请再次鉴定或复查鉴定, 无结论的请申请初次鉴定。"
    )


class MemberIsSpecialist(Problem):
    """The person is in the pool under another number."""

    kind, reason = Kind.DIFFERENT_EXISTS, "MEMBER_IS_SPECIALIST"
    message = "{member} is in the pool under another number; name another person."
    message_zh = "{member} 已以其他编号登记为鉴定专家; 请填写其他人员。"


class SpecialistDiffers(Problem):
    """The number is registered with other particulars."""

    kind, reason = Kind.DIFFERENT_EXISTS, "SPECIALIST_DIFFERS"
    message = (
        "Specialist number {number} is registered with another field, level or person; use another "
        "number."
    )
    message_zh = "专家编号 {number} 已登记且内容不同; 请使用其他编号。"
