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
    message = "{month} cannot be proposed: {obstacles}"
    message_zh = "{month} 暂不能提交结账: {obstacles_zh}"


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
