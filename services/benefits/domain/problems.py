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


class CauseNeeded(Problem):
    """A later death with grade 5 to 10 gives nothing or all, by its cause."""

    kind, reason = Kind.MALFORMED, "CAUSE_NEEDED"
    message = (
        "Say whether the injury of {claim} caused the death; without grade 1 to 4 the benefits "
        "depend on it."
    )
    message_zh = "请说明 {claim} 的工伤是否为死因; 非一至四级伤残的死亡待遇取决于死因。"


class NotPeriodic(Problem):
    """Only a benefit paid every month is suspended, resumed or given a last month."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "NOT_PERIODIC"
    message = "{name} is paid once; only monthly benefits can be suspended, resumed or terminated."
    message_zh = "{name} 为一次性待遇; 只有按月待遇可以停发、恢复或终止。"


class MonthOutOfRange(Problem):
    """The month lies outside the months of the award, or is too far ahead."""

    kind, reason = Kind.MALFORMED, "MONTH_OUT_OF_RANGE"
    message = "{month} is not possible for {name}; choose a month from {first} to {last}."
    message_zh = "{name} 不能使用 {month}; 请在 {first} 至 {last} 内选择。"


class NotAnExpense(Problem):
    """Only bills are reimbursed; the other kinds follow from decisions."""

    kind, reason = Kind.MALFORMED, "NOT_AN_EXPENSE"
    message = "The {kind} is not reimbursed on request; choose one of: {choices}."
    message_zh = "{kind}不属于费用报销; 请从以下各项中选择: {choices}。"


class NoExpense(Problem):
    """Only the award of a bill or a stay is reversed; the others follow from decisions."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "NO_EXPENSE"
    message = "{name} reimburses no bill; correct the decision on which it rests."
    message_zh = "{name} 不是费用报销; 请更正其所依据的决定。"


class ExpenseReversed(Problem):
    """An expense is reversed once."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "EXPENSE_REVERSED"
    message = "{name} was reversed before; record the correct bill, if there is one."
    message_zh = "{name} 已冲正; 如有正确的费用请重新登记。"


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


class BillNotIdentified(Problem):
    """A bill is identified by institution and number, or by its document."""

    kind, reason = Kind.MALFORMED, "BILL_NOT_IDENTIFIED"
    message = (
        "Give the number on the bill and the institution that issued it, or for a bill without a "
        "number the SHA-256 of its document."
    )
    message_zh = "请填写票据号码和出具机构; 无号码的票据请提供其电子文件的 SHA-256 值。"


class BillGranted(Problem):
    """A bill is reimbursed once, in whatever claim, as whatever kind, in whatever spelling."""

    kind, reason = Kind.DIFFERENT_EXISTS, "BILL_ALREADY_GRANTED"
    message = "Bill {bill} was already granted as {name}; check the bill."
    message_zh = "票据 {bill} 已核定为 {name}; 请核对票据。"


class StayGranted(Problem):
    """Each day in hospital is granted once."""

    kind, reason = Kind.DIFFERENT_EXISTS, "STAY_ALREADY_GRANTED"
    message = "All days in hospital from {first} to {last} were already granted as {name}."
    message_zh = "{first} 至 {last} 的住院天数已核定为 {name}; 不再重复核定。"


class NotOnList(Problem):
    """The device has no list price in force."""

    kind, reason = Kind.MALFORMED, "DEVICE_NOT_ON_LIST"
    message = "{device} is not on the list of devices in force on {day}; choose one of: {known}."
    message_zh = "{device} 不在 {day} 有效的辅助器具目录中; 可选: {known}。"
