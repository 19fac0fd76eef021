"""What the mechanism of two persons refuses, with the reason and what to do instead."""

from __future__ import annotations

from services.kernel.problems import Kind, Problem


class RequestIdReused(Problem):
    """The id was used before for a request with other content."""

    kind, reason = Kind.DIFFERENT_EXISTS, "REQUEST_ID_REUSED"
    message = "Request id {request_id} was used before with other content; use a new id."
    message_zh = "请求编号 {request_id} 已用于内容不同的请求; 请使用新的编号。"


class SecondSignatureNeeded(Problem):
    """The act is stored and waits for a second person."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "SECOND_SIGNATURE_NEEDED"
    message = (
        "Stored as {pending_act}; another person with one of the roles {roles} has to sign it by "
        "{expire_day}."
    )
    message_zh = (
        "已存为 {pending_act}; "
        "须由另一名具有以下角色之一的人员在 {expire_day} 前复核签批: {roles}。"
    )


class SignatureWithdrawn(Problem):
    """The act of this request was withdrawn, or nobody signed it in time."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "SIGNATURE_WITHDRAWN"
    message = "{pending_act} was withdrawn or has expired; make the request again with a new id."
    message_zh = "{pending_act} 已撤回或已过期; 请使用新的请求编号重新办理。"


class ActNotPending(Problem):
    """The act was signed or withdrawn, or has expired."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "ACT_NOT_PENDING"
    message = "{pending_act} no longer waits for a signature; see `oip acts show {pending_act}`."
    message_zh = "{pending_act} 不再等待签批; 请用 `oip acts show {pending_act}` 查看。"


class ActChanged(Problem):
    """What the act rests on has changed since it was made, or the signer has read another."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "ACT_CHANGED"
    message = (
        "{pending_act} cannot be signed: {changed} changed since it was made; withdraw it and make "
        "the request again with a new id."
    )
    message_zh = (
        "{pending_act} 不能签批: {changed} 在提交后已变化; 请撤回后使用新的请求编号重新办理。"
    )


class SignerIsMaker(Problem):
    """The person who made an act cannot sign it."""

    kind, reason = Kind.FORBIDDEN, "SIGNER_IS_MAKER"
    message = "You made {pending_act} yourself; another person has to sign it."
    message_zh = "{pending_act} 由您本人提交; 须由另一人签批。"


class SignerRoleMissing(Problem):
    """The signer has none of the roles that may sign this act."""

    kind, reason = Kind.FORBIDDEN, "SIGNER_ROLE_MISSING"
    message = "{pending_act} has to be signed by a person with one of the roles {roles}."
    message_zh = "{pending_act} 须由具有以下角色之一的人员签批: {roles}。"


class SignerAreaMissing(Problem):
    """The signer has the role, for other areas than those of the act."""

    kind, reason = Kind.FORBIDDEN, "SIGNER_AREA_MISSING"
    message = (
        "{pending_act} has to be signed by a person with one of the roles {roles} for its areas."
    )
    message_zh = "{pending_act} 须由具有其统筹地区以下角色之一的人员签批: {roles}。"


class MakerRoleMissing(Problem):
    """The person who made the act no longer has a role for it."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "MAKER_ROLE_MISSING"
    message = "{member} made {pending_act} and no longer has the role for it; withdraw it."
    message_zh = "{pending_act} 的提交人 {member} 已无相应角色; 请撤回。"


class NoPerson(Problem):
    """The account belongs to no person of the staff register, so it can share no act."""

    kind, reason = Kind.FORBIDDEN, "ACT_NEEDS_A_PERSON"
    message = "This needs a person of the staff register; ask an administrator to link the account."
    message_zh = "此事项须由工作人员名册中的人员办理; 请管理员关联该账号。"


class DayCapReached(Problem):
    """The person's acts of the day would pass the limit."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "DAY_CAP_REACHED"
    message = (
        "{title}: {amount} yuan on top of the {before} yuan of today would pass the limit of {cap} "
        "yuan a day of {member}; let another person act, or wait until tomorrow."
    )
    message_zh = (
        "{title}: {member} 今日已办 {before} 元, 再办 {amount} 元将超过每日限额 {cap} 元; "
        "请由他人办理或次日办理。"
    )


class SumTooLarge(Problem):
    """The sum is larger than any act of its kind may be."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "SUM_TOO_LARGE"
    message = "{title}: {amount} yuan are more than the maximum of {maximum} yuan; check the sum."
    message_zh = "{title}: {amount} 元超过单笔上限 {maximum} 元; 请核对金额。"
