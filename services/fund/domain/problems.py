"""What the fund refuses."""

from __future__ import annotations

from services.kernel.problems import Kind, Problem


class TransactionDiffers(Problem):
    """A transaction that was posted arrived again with different amounts."""

    kind, reason = Kind.DIFFERENT_EXISTS, "TRANSACTION_DIFFERS"
    message = (
        "{source} was already posted in {pooling_area} with different amounts; "
        "issue a correction at the source under a new name."
    )
    message_zh = "{source} 已按不同金额记入 {pooling_area} 账内; 请在来源处以新编号更正。"


class MoreThanPayable(Problem):
    """A disbursement exceeds what is payable."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "MORE_THAN_PAYABLE"
    message = (
        "{amount} yuan cannot be disbursed for {payment_run} in {pooling_area}: "
        "{payable} yuan are payable; check the bank's figure."
    )
    message_zh = (
        "{payment_run} 在 {pooling_area} 应付 {payable} 元, 不能拨付 {amount} 元; 请核对银行金额。"
    )


class DisbursementReferenceUsed(Problem):
    """Another disbursement has this bank reference."""

    kind, reason = Kind.DIFFERENT_EXISTS, "DISBURSEMENT_REFERENCE_USED"
    message = (
        "Bank reference {bank_reference} already belongs to another disbursement; "
        "check it on the bank's statement."
    )
    message_zh = "银行流水号 {bank_reference} 已用于另一笔拨付; 请核对银行对账单。"


class NotReadyToPropose(Problem):
    """The month has obstacles to its proposal."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "NOT_READY_TO_PROPOSE"
    message = "{month} cannot be proposed: {reasons}"
    message_zh = "{month} 暂不能提交结账: {reasons}"


class PeriodNotOver(Problem):
    """A month is proposed after its last day."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "PERIOD_NOT_OVER"
    message = "{month} is not over; propose it from {first_day} on."
    message_zh = "{month} 尚未结束, 请于 {first_day} 起提交。"


class EarlierMonthOpen(Problem):
    """Months with figures are closed in their order."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "EARLIER_MONTH_OPEN"
    message = "{earlier} has figures and is not closed; close it first."
    message_zh = "{earlier} 有账目且未结账, 请先结账。"


class LaterMonthClosed(Problem):
    """No month is closed after a later one."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "LATER_MONTH_CLOSED"
    message = "{later} is closed, so {month} had no figures; propose a month after {later}."
    message_zh = "{later} 已结账, {month} 当时无账目; 请提交 {later} 之后的月份。"


class ProducerUnreachable(Problem):
    """A service whose events the month depends on does not answer."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "PRODUCER_UNREACHABLE"
    message = "The {producer} service cannot be reached; start it, then propose the month again."
    message_zh = "无法连接 {producer}服务; 请启动后重新提交。"


class EventsNotPublished(Problem):
    """A service has events that are not published."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "EVENTS_NOT_PUBLISHED"
    message = "The {producer} service has {count} events to publish; check NATS, and wait a moment."
    message_zh = "{producer}服务尚有 {count} 条事件未发布; 请检查 NATS 并稍候。"


class EventsNotConsumed(Problem):
    """A service has not consumed all events of another one."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "EVENTS_NOT_CONSUMED"
    message = (
        "The {consumer} service has consumed {consumed} of {published} events of {producer}; "
        "check NATS, and wait until they have been sent again."
    )
    message_zh = (
        "{consumer}服务已接收 {producer} 的 {published} 条事件中的 {consumed} 条; "
        "请检查 NATS 并等待补发。"
    )


class EventsDiffer(Problem):
    """The events consumed are not those that their producer published."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "EVENTS_DIFFER"
    message = (
        "The {consumer} service has consumed other events of {producer} than it published; "
        "an administrator has to find the cause with `oip verify`."
    )
    message_zh = (
        "{consumer}服务所接收的 {producer} 事件与其发布的不一致; 请管理员用 `oip verify` 查明原因。"
    )


class DeadLettersOpen(Problem):
    """A service has events that it could not handle."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "DEAD_LETTERS_OPEN"
    message = (
        "The {service} service could not handle {count} events; "
        "an administrator has to retry or dismiss the dead letters first."
    )
    message_zh = "{service}服务有 {count} 条事件未能处理; 请管理员先处理死信。"


class AlarmsOpen(Problem):
    """A service has alarms that nobody has resolved."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "ALARMS_OPEN"
    message = (
        "The {service} service has {count} open alarms about events; "
        "an administrator has to resolve them first."
    )
    message_zh = "{service}服务有 {count} 条未处理的事件警报; 请管理员先处理。"


class DatabaseIsBehind(Problem):
    """The database of a service was restored, and is not reconciled."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "DATABASE_IS_BEHIND"
    message = (
        "The database of the {service} service is behind what it has published; "
        "an administrator has to reconcile it with `oip restore` first."
    )
    message_zh = "{service}服务的数据库落后于其已发布的事件; 请管理员先以 `oip restore` 核对恢复。"


class LostEventsNotResolved(Problem):
    """A service has lost events that nobody has resolved."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "LOST_EVENTS_NOT_RESOLVED"
    message = (
        "The {service} service has {count} lost events that are not resolved; repeat what was done "
        "then, or have an administrator resolve them first."
    )
    message_zh = (
        "{service}服务有 {count} 个丢失的事件尚未处置; 请按原内容重新办理或由管理员先处置。"
    )


class MonthNotEnded(Problem):
    """A service has not ended the month, or its MonthEnded has not arrived."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "MONTH_NOT_ENDED"
    message = "The {producer} service has not ended {month}: {step}."
    message_zh = "{producer}服务尚未结束 {month}: {step}。"


class SumsDiffer(Problem):
    """A service counted other money than the ledger has."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "SUMS_DIFFER"
    message = (
        "The {producer} service counted {counted} yuan of {event} in {month}, "
        "the ledger has {posted} yuan; an administrator has to find the cause with `oip verify`."
    )
    message_zh = (
        "{producer}服务 {month} 的{event}合计 {counted} 元, 账内为 {posted} 元; "
        "请管理员用 `oip verify` 查明原因。"
    )


class MonthEndedDiffers(Problem):
    """A month that a service has ended was ended again with other counts."""

    kind, reason = Kind.DIFFERENT_EXISTS, "MONTH_ENDED_DIFFERS"
    message = (
        "The {producer} service has already ended {month} with other counts; "
        "an administrator has to find out whether its database was restored."
    )
    message_zh = "{producer}服务已按不同数量结束 {month}; 请管理员查明其数据库是否曾被恢复。"


class AlreadyReversed(Problem):
    """A disbursement is reversed once."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "ALREADY_REVERSED"
    message = "{name} was reversed before; record the correct disbursement, if there is one."
    message_zh = "{name} 已冲正; 如有正确的拨付请重新登记。"


class ApproverIsProposer(Problem):
    """The proposer of a month cannot approve it."""

    kind, reason = Kind.FORBIDDEN, "APPROVER_IS_PROPOSER"
    message = "{proposer} proposed {month}; ask another approver to approve it."
    message_zh = "{month} 由 {proposer} 提交; 须由另一人审批。"


class HashDiffers(Problem):
    """The approved hash is not that of the proposed figures."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "HASH_DIFFERS"
    message = (
        "The figures of {month} are not those you read; read them again and approve their hash."
    )
    message_zh = "{month} 的数字与所阅不一致; 请重新阅看后按其哈希值审批。"


class FiguresChanged(Problem):
    """The approved figures no longer follow from the ledger."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "FIGURES_CHANGED"
    message = (
        "The ledger no longer yields the approved figures of {month}; "
        "withdraw the proposal and propose the month again."
    )
    message_zh = "{month} 账面数字与已审批数字不符; 请撤回后重新提交。"


class NotClosed(Problem):
    """Only a closed month can be replayed."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "NOT_CLOSED"
    message = "{month} is not closed; only a closed month can be replayed."
    message_zh = "{month} 尚未结账; 仅已结账月份可以重算。"


class LoanOverdue(Problem):
    """A loan of an earlier year is still owed."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "LOAN_OVERDUE"
    message = (
        "{overdue} yuan of an earlier loan are overdue; repay them before a new loan is taken."
    )
    message_zh = "此前借款尚有 {overdue} 元逾期未还; 归还前不得再借。"
