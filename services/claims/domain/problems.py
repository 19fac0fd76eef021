"""What claims refuses, with the reason and what to do instead."""

from __future__ import annotations

from services.kernel.problems import Kind, Problem


class WorkerUnknown(Problem):
    """The worker is not enrolled, or not with the platform that calls."""

    kind, reason = Kind.NOT_FOUND, "WORKER_UNKNOWN"
    message = "There is no enrolled worker {worker}; look the worker up in enrolment and try again."
    message_zh = "未找到参保人员 {worker}; 请先在参保登记中核对后重试。"


class ClaimExists(Problem):
    """The same accident of the same worker has a claim already."""

    kind, reason = Kind.DIFFERENT_EXISTS, "CLAIM_EXISTS"
    message = "This accident has a claim already, {claim}; add evidence to it instead."
    message_zh = "该事故已有申请 {claim}; 请在该申请中补充材料。"


class ClaimChanged(Problem):
    """The claim has another revision than the adjudicator has read."""

    kind, reason = Kind.RACED, "CLAIM_CHANGED"
    message = (
        "{claim} has revision {held}, not {read}: it or its evidence changed; "
        "read it again and decide on what it says now."
    )
    message_zh = "{claim} 已变更为第 {held} 版(您阅读的是第 {read} 版); 请重新阅卷后再作结论。"


class EvidenceRequestedOnce(Problem):
    """Everything that is missing is requested once, in writing (一次性书面告知)."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "EVIDENCE_REQUESTED_ONCE"
    message = "{claim} had its one evidence request; accept it on what is there, or stay it."
    message_zh = "{claim} 已作过一次性补正告知; 请按现有材料受理或中止。"


class OpenFindings(Problem):
    """The rules leave questions to a person, and the request does not answer them."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "FINDINGS_OPEN"
    message = (
        "The rules leave {findings} to a person: add a judgement with a reason for each, "
        "or the document that settles it."
    )
    message_zh = "以下事项须由人工判断: {findings}; 请逐项作出判断并说明理由, 或补充相应证据。"


class NotASmallInjury(Problem):
    """The short path needs a small injury, and a place that has the path."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "NOT_A_SMALL_INJURY"
    message = "The path for small injuries is not open: {why}; accept the claim without it."
    message_zh = "不适用小额伤害快速办理: {why_zh}; 请按普通程序受理。"


class AlreadyServed(Problem):
    """A conclusion is served once."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "ALREADY_SERVED"
    message = "The conclusion on {claim} was served on {day}; a service is recorded once."
    message_zh = "{claim} 的结论书已于 {day} 送达; 不得重复登记。"


class NotDetermined(Problem):
    """Only a conclusion that stands can be served."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "NOT_DETERMINED"
    message = "{claim} has no determination that stands; determine it first."
    message_zh = "{claim} 尚无有效结论; 请先作出结论。"
