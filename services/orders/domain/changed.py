"""What is said when something held is not what was taken."""

from __future__ import annotations

from services.kernel.problems import Kind, Problem


class RecordsChanged(Problem):
    """What is held no longer fits the signed log."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "RECORDS_CHANGED"
    message = (
        "What is held of {name} no longer fits the signed log ({what}), so it was changed after "
        "its receipt; tell the auditor and restore it from the archive."
    )
    message_zh = (
        "{name} 现存内容与已签名的日志不符 ({what}), 说明回执之后被改动; 请通知审计并从归档恢复。"
    )
