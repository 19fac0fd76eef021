"""The refusals of orders."""

from __future__ import annotations

from services.kernel.phrases import Phrase
from services.kernel.problems import Kind, Problem


class BatchIdReused(Problem):
    """The batch id was used before for other content."""

    kind, reason = Kind.DIFFERENT_EXISTS, "BATCH_ID_REUSED"
    message = "Batch id {batch_id} was used before with other content; send it under a new id."
    message_zh = "批次编号 {batch_id} 已用于内容不同的批次; 请使用新的编号。"


class BatchBrokeReader(Problem):
    """The process that read the batch died, or did not answer in time."""

    kind, reason = Kind.MALFORMED, "BATCH_BROKE_READER"
    message = (
        "The program that reads batches failed on this one, and nothing was stored; "
        "write the batch again, or send it as protobuf rows."
    )
    message_zh = (
        "读取该批次时程序异常退出, 未保存任何数据; 请重新生成该批次, 或改用 protobuf 行格式发送。"
    )


class LogBroken(Problem):
    """A platform's log differs from its newest signed head, so nothing may be added to it."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "LOG_BROKEN"
    message = (
        "The log of {platform} was changed after it was signed ({what}), so nothing is added; "
        "tell the auditor, and send the batch again once the log is restored."
    )
    message_zh = (
        "{platform} 的日志在签名之后被改动 ({what}), 因此不再追加; "
        "请通知审计, 恢复后重新发送该批次。"
    )


class RecordsChanged(Problem):
    """The stored records do not match the signed log."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "RECORDS_CHANGED"
    message = (
        "The records of {name} do not match the signed log ({what}), so they were changed after "
        "their receipt; tell the auditor and restore them from the archive."
    )
    message_zh = (
        "{name} 现存内容与已签名的日志不符 ({what}), 说明回执之后被改动; 请通知审计并从归档恢复。"
    )


class MonthNotOver(Problem):
    """Batches may still be added to the month."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "MONTH_NOT_OVER"
    message = "Batches can still be added to {month}; archive it after {closed_time}."
    message_zh = "{month} 仍可能有新批次; 请在 {closed_time} 之后归档。"


class NothingToArchive(Problem):
    """The platform sent no batch in the month."""

    kind, reason = Kind.NOT_FOUND, "NOTHING_TO_ARCHIVE"
    message = "No batch of {platform} was accepted in {month}; check the platform and the month."
    message_zh = "{platform} 在 {month} 没有批次; 请核对平台和月份。"


class TotalsDayOutside(Problem):
    """Totals are of a day of the scheme that has begun."""

    kind, reason = Kind.MALFORMED, "TOTALS_DAY_OUTSIDE"
    message = "No totals can be declared for {day}; declare a day from {first} to {last}."
    message_zh = "不能申报 {day} 的订单总数; 可申报 {first} 至 {last} 的日期。"


class TotalsAreaUnknown(Problem):
    """Totals are of pooling areas of the province served."""

    kind, reason = Kind.MALFORMED, "TOTALS_AREA_UNKNOWN"
    message = "{pooling_area} is not a pooling area of this province; choose one of {choices}."
    message_zh = "{pooling_area} 不是本省统筹地区; 可申报: {choices}。"


class TotalsIndustryUnknown(Problem):
    """Totals are of the scheme's industries."""

    kind, reason = Kind.MALFORMED, "TOTALS_INDUSTRY_UNKNOWN"
    message = (
        "Industry {industry} does not belong to the scheme; declare ride-hailing (1), instant "
        "delivery (2) or same-city freight (3)."
    )
    message_zh = "行业 {industry} 不在保障范围内; 可申报: 出行(1)、即时配送(2)、同城货运(3)。"


NODES_MISSING = Phrase("NODES_MISSING", "nodes are missing", "缺少节点")


def log_name(platform: str) -> Phrase:
    """A platform's log."""
    return Phrase.of(
        "LOG", "the log of {platform}", "{platform} 的日志", platform=f"platforms/{platform}"
    )
