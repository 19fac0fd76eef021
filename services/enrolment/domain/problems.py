"""What enrolment refuses."""

from __future__ import annotations

from services.kernel.problems import Kind, Problem


class NotACreditCode(Problem):
    """The unified social credit code is wrong."""

    kind, reason = Kind.MALFORMED, "NOT_A_CREDIT_CODE"
    message = (
        "{credit_code} is not a unified social credit code: it has 18 characters, the last of "
        "which checks the others; copy it from the business licence."
    )
    message_zh = "{credit_code} 不是有效的统一社会信用代码; 请按营业执照核对。"


class PlatformExists(Problem):
    """The platform is registered with other particulars."""

    kind, reason = Kind.DIFFERENT_EXISTS, "PLATFORM_EXISTS"
    message = "{name} is already registered with other particulars; read them with GetPlatform."
    message_zh = "{name} 已以不同信息登记; 请先查询。"


class WorkerHasOpenCases(Problem):
    """A worker is to be erased while a case is open or money is still to flow."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "WORKER_HAS_OPEN_CASES"
    message = (
        "{worker} cannot be erased: {obstacles} ({resources}); end these first, then ask again."
    )
    message_zh = "{worker} 的个人信息不能删除: {obstacles} ({resources}); 请先办结相关事项。"


class WorkerErasedBefore(Problem):
    """A worker is to be erased a second time."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "WORKER_ERASED_BEFORE"
    message = "{worker} was erased on {day} by {document}; nothing is left to erase."
    message_zh = "{worker} 的个人信息已于 {day} 依 {document} 删除, 无需再次删除。"


class EventsUnderWay(Problem):
    """A worker is to be erased while a service has not consumed all events of the others."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "EVENTS_UNDER_WAY"
    message = (
        "Whether {worker} has an open case is not certain yet ({behind}); ask again once"
        " `oip delivery` shows that all events have arrived."
    )
    message_zh = "{worker} 是否有未办结事项尚不确定 ({behind}); 请待全部事件送达后重试。"
