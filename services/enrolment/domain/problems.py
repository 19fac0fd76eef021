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
