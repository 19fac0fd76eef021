"""The refusals of benefits, each with a reason and what to do."""

from __future__ import annotations

from services.kernel.problems import Kind, Problem


class MonthNotBegun(Problem):
    """Payments are instructed for the current month or an earlier one."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "MONTH_NOT_BEGUN"
    message = "{month} has not begun; instruct payments for {current} or an earlier month."
    message_zh = "{month} 尚未开始; 只能为 {current} 或以前的月份生成支付指令。"


class CaseNotConfirmed(Problem):
    """An expense is reimbursed only for a confirmed occupational injury."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "CASE_NOT_CONFIRMED"
    message = (
        "{claim} is not confirmed as an occupational injury yet; "
        "wait for the determination, then send the request again."
    )
    message_zh = "{claim} 尚未确认为职业伤害; 请待确认结论作出后再申请。"


class NotPeriodic(Problem):
    """Only a benefit paid every month is suspended, resumed or given a last month."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "NOT_PERIODIC"
    message = "{name} is paid once; only monthly benefits can be suspended, resumed or terminated."
    message_zh = "{name} 为一次性待遇; 只有按月待遇可以停发、恢复或终止。"


class MonthOutOfRange(Problem):
    """The month lies outside the months of the award."""

    kind, reason = Kind.MALFORMED, "MONTH_OUT_OF_RANGE"
    message = "{month} is outside {name}, which is paid from {first} to {last}; choose another."
    message_zh = "{month} 不在 {name} 的享受期间 ({first} 至 {last}) 内; 请重新选择。"


class NotAnExpense(Problem):
    """Only bills are reimbursed; the other kinds follow from decisions."""

    kind, reason = Kind.MALFORMED, "NOT_AN_EXPENSE"
    message = "{kind} is not reimbursed on request; choose MEDICAL_BENEFIT to TRAVEL."
    message_zh = "{kind} 不属于费用报销; 请选择医疗、康复、辅助器具、伙食或交通食宿费。"


class BeforeAccident(Problem):
    """A cost from before the accident is not a consequence of it."""

    kind, reason = Kind.MALFORMED, "BEFORE_ACCIDENT"
    message = "{expense_date} is before the accident on {accident_date}; check the day of the bill."
    message_zh = "费用日期 {expense_date} 早于事故日期 {accident_date}; 请核对。"


class NothingLeft(Problem):
    """Nothing of the bill is left for the fund."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "NOTHING_LEFT"
    message = "A third party has already paid the fund's share of this bill; nothing is granted."
    message_zh = "第三人已全额支付该费用, 基金无需支付。"


class BillGranted(Problem):
    """A bill is reimbursed once."""

    kind, reason = Kind.DIFFERENT_EXISTS, "BILL_ALREADY_GRANTED"
    message = "Bill {bill_number} of this claim was already granted as {name}; check the number."
    message_zh = "该申请的票据 {bill_number} 已核定为 {name}; 请核对票据号码。"


class NotOnList(Problem):
    """The device has no list price in force."""

    kind, reason = Kind.MALFORMED, "DEVICE_NOT_ON_LIST"
    message = "{device} is not on the list of devices in force on {day}; choose one of: {known}."
    message_zh = "{device} 不在 {day} 有效的辅助器具目录中; 可选: {known}。"
