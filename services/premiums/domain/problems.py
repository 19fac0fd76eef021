"""The refusals of premiums, each with what to do."""

from __future__ import annotations

from services.kernel.problems import Kind, Problem


class MonthStillOpen(Problem):
    """The month has not ended yet."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "MONTH_STILL_OPEN"
    message = "{month} is still open; try again on {first_day}, when it has ended."
    message_zh = "{month} 尚未结束; 请于 {first_day} 起办理。"


class MonthAssessed(Problem):
    """The month was assessed before."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "MONTH_ASSESSED"
    message = "{month} is already assessed; orders that came later are assessed with {next_month}."
    message_zh = "{month} 已核定; 其后到达的订单随 {next_month} 一并核定。"


class EarlierMonthNotAssessed(Problem):
    """An earlier month has orders that are not assessed."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "EARLIER_MONTH_NOT_ASSESSED"
    message = "{earlier} has orders that are not assessed; assess {earlier} before {month}."
    message_zh = "{earlier} 尚有未核定订单; 请先核定 {earlier}, 再核定 {month}。"


class BaseNotKnown(Problem):
    """The law has no base for an industry in a place on a day."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "BASE_NOT_KNOWN"
    message = (
        "There is no premium base for {industry} in {pooling_area} on {day}, but platform "
        "{platform} has orders there; add the base to the law's parameters, or have the "
        "platform reverse the orders."
    )
    message_zh = (
        "{pooling_area} 在 {day} 没有{industry}的缴费基准额, 但平台 {platform} 有订单; "
        "请补充参数或由平台冲销订单。"
    )


class SchemeNotInForce(Problem):
    """Orders were counted for days before the scheme began in their pooling area."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "SCHEME_NOT_IN_FORCE"
    message = (
        "The scheme began in {pooling_area} on {start}, but platform {platform} has orders of "
        "{month} there; no premium is due for them: have the platform reverse the orders."
    )
    message_zh = (
        "{pooling_area} 自 {start} 起施行职业伤害保障, 但平台 {platform} 有 {month} 的订单; "
        "该部分不收取保费, 请由平台冲销订单。"
    )


class BaseNotInLaw(Problem):
    """The law does not know the base for the industry on that day."""

    kind, reason = Kind.MALFORMED, "BASE_NOT_IN_LAW"
    message = "{base} yuan is not a premium base of {industry} on {day}; choose one of {choices}."
    message_zh = "{base} 元不是{industry}在 {day} 的缴费基准额; 可选: {choices}。"


class BandNotInLaw(Problem):
    """The law does not know the band on that day."""

    kind, reason = Kind.MALFORMED, "BAND_NOT_IN_LAW"
    message = "{band} is not an experience band on {day}; choose one of {choices}."
    message_zh = "{band} 不是 {day} 的浮动档次; 可选: {choices}。"


class IndustryNotRegistered(Problem):
    """The platform is registered, but not for this industry."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "INDUSTRY_NOT_REGISTERED"
    message = "{platform} is not registered for {industry}; register the industry first."
    message_zh = "{platform} 未登记{industry}; 请先办理行业登记。"


class TermInAssessedMonth(Problem):
    """A base or band cannot begin in a month that is assessed."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "TERM_IN_ASSESSED_MONTH"
    message = "{since} lies in an assessed month; choose {first_day} or a later day."
    message_zh = "{since} 所在月份已核定; 生效日期须不早于 {first_day}。"


class BankReferenceUsed(Problem):
    """The bank's number is recorded for this account and day."""

    kind, reason = Kind.DIFFERENT_EXISTS, "BANK_REFERENCE_USED"
    message = (
        "Bank number {bank_reference} of this account and day is already recorded as {receipt}, "
        "{amount} yuan for {bill}; if the statement shows a further payment, record it as "
        "occurrence {expected}."
    )
    message_zh = (
        "该账户当日的银行流水号 {bank_reference} 已登记为 {receipt} ({bill}, {amount} 元); "
        "如对账单另有一笔, 请登记为第 {expected} 笔。"
    )


class OccurrenceSkipped(Problem):
    """The payments of one bank number are counted without a gap."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "OCCURRENCE_SKIPPED"
    message = (
        "Bank number {number} cannot have occurrence {occurrence} yet; record the payment as "
        "occurrence {expected}."
    )
    message_zh = "银行流水号 {number} 尚不能登记为第 {occurrence} 笔; 请登记为第 {expected} 笔。"


class ReceiptInFuture(Problem):
    """A receipt cannot lie in the future."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "RECEIPT_IN_FUTURE"
    message = "{receipt_date} is in the future; record the receipt with the bank's day of payment."
    message_zh = "{receipt_date} 尚未到来; 请按银行入账日期登记。"


class NoCredit(Problem):
    """There is nothing to set off, or nothing to set it off against."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "NO_CREDIT"
    message = (
        "{platform} has {credit} yuan of credit and owes {owed} yuan on {bill}; there is nothing "
        "to set off."
    )
    message_zh = "{platform} 结余 {credit} 元, {bill} 应缴 {owed} 元; 无可抵缴。"


class DeclarationStillOpen(Problem):
    """The platform still has time to declare."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "DECLARATION_STILL_OPEN"
    message = "{month} can be declared until {due_date}; estimate it after that day."
    message_zh = "{month} 申报期至 {due_date}; 逾期后方可核定。"


class MonthNotAssessed(Problem):
    """The month has to be assessed first."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "MONTH_NOT_ASSESSED"
    message = "{month} is not assessed; assess it first."
    message_zh = "{month} 尚未核定; 请先核定。"


class PlatformNotSilent(Problem):
    """The platform has declared or sent orders, so there is nothing to estimate."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "PLATFORM_NOT_SILENT"
    message = "{platform} has {what} for {month}; an estimate is for a platform that sent nothing."
    message_zh = "{platform} 在 {month} 已有{what}; 仅对未申报平台估算。"


class NoMonthBefore(Problem):
    """Without a bill of the month before there is nothing to take a share of."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "NO_MONTH_BEFORE"
    message = "{platform} has no premium in {month}; an estimate needs the month before."
    message_zh = "{platform} 在 {month} 没有保费; 估算须以上月为基础。"


class WindowNotAssessed(Problem):
    """The loss ratio needs every month of its window."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "WINDOW_NOT_ASSESSED"
    message = "Bands of {year} need the months {first} to {last}; assess {last} first."
    message_zh = "{year} 年档次须依据 {first} 至 {last}; 请先核定 {last}。"


class NotReversible(Problem):
    """Only money and set-offs that a person recorded are reversed."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "NOT_REVERSIBLE"
    message = "{name} was not recorded by a person or is a reversal itself; it follows its bill."
    message_zh = "{name} 并非人工登记或本身即为冲正; 不得冲正。"


class ReceiptReversed(Problem):
    """A receipt is reversed once."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "RECEIPT_REVERSED"
    message = "{name} was reversed by {reversal}; record the correct receipt, if there is one."
    message_zh = "{name} 已由 {reversal} 冲正; 如有正确的入库请重新登记。"


class LaterReceipt(Problem):
    """A later receipt was allotted to what this one had left of the bill."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "LATER_RECEIPT"
    message = "{later} was recorded on the same bill after {name}; reverse it first, then this one."
    message_zh = "{name} 之后同一账单已登记 {later}; 请先冲正后者。"


class CreditUsed(Problem):
    """The credit that the receipt left was set off against another bill."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "CREDIT_USED"
    message = (
        "{name} left {credit} yuan of credit and only {left} are unused; reverse the set-off first."
    )
    message_zh = "{name} 形成的待抵余额 {credit} 元仅剩 {left} 元; 请先冲正相应抵缴。"
