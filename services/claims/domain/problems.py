"""What claims refuses, with the reason and what to do instead."""

from __future__ import annotations

from services.kernel.problems import Kind, Problem


class WorkerUnknown(Problem):
    """The worker is not enrolled, or not with the platform that calls."""

    kind, reason = Kind.NOT_FOUND, "WORKER_UNKNOWN"
    message = "There is no enrolled worker {worker}; look the worker up in enrolment and try again."
    message_zh = "未找到参保人员 {worker}; 请先在参保登记中核对后重试。"


class NothingToContest(Problem):
    """A contest needs a question on the filing, or an answer to one."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "NOTHING_TO_CONTEST"
    message = (
        "{claim} opened its accident and nobody questioned it; add evidence to it, or ask an "
        "adjudicator to merge it with another claim."
    )
    message_zh = "{claim} 为该事故的首次申请, 无待异议事项; 请补充材料或申请合并。"


class FilingIsPart(Problem):
    """The filing is part of another claim, and only that one goes on."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "FILING_IS_PART"
    message = (
        "{claim} is part of {whole}, which is decided in its place; name {whole}, or contest the "
        "filing if it is about another accident."
    )
    message_zh = "{claim} 已并入 {whole}, 由其统一处理; 请对 {whole} 办理, 如非同一事故可提出异议。"


class NearClaimsChanged(Problem):
    """A filing is found distinct from all claims near it, and the adjudicator has read others."""

    kind, reason = Kind.RACED, "NEAR_CLAIMS_CHANGED"
    message = (
        "Near {claim} in time are now: {near}; read them, and name all of them in distinct_from."
    )
    message_zh = "与 {claim} 时间相近的申请现为: {near}; 请阅卷后逐一列明。"


class OwnFiling(Problem):
    """A person filed the claim and would accept, decide or sign it."""

    kind, reason = Kind.FORBIDDEN, "OWN_FILING"
    message = "You filed {claim} or a part of it; another adjudicator has to act on it."
    message_zh = "{claim} 或其部分由您本人提交; 须由其他审核人员办理。"


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
    message_zh = "不适用小额伤害快速办理: {why}; 请按普通程序受理。"


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
