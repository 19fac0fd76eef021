"""The double-entry ledger: its accounts, and the transaction that records each business event.

A debit is positive, a credit negative.

Accounts and sub-accounts by pooling area and industry follow the accounts of social insurance funds
(社会保险经办条例 art. 40); a transaction sums to zero inside one pooling area.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import Enum

from services.kernel.money import ZERO, Fen, total
from services.kernel.names import id_from
from services.kernel.periods import Month
from services.kernel.scheme import Industry


class UnbalancedError(ValueError):
    """Amounts do not sum to zero as they must: a defect of the program; nothing may be posted."""


class Account(Enum):
    """The accounts of the ledger (会计科目)."""

    PREMIUM_RECEIVABLE = 1
    PREMIUM_INCOME = 2
    SURCHARGE_INCOME = 3
    PREMIUM_CREDIT = 4
    FISCAL_SPECIAL_ACCOUNT = 5
    BENEFIT_EXPENSE = 6
    BENEFITS_PAYABLE = 7
    EQUALISATION_TRANSFER = 8
    EQUALISATION_CLEARING = 9


# The accounts that make up a pooling area's balance: income, spending, equalisation.
RESULT_ACCOUNTS = (
    Account.PREMIUM_INCOME,
    Account.SURCHARGE_INCOME,
    Account.BENEFIT_EXPENSE,
    Account.EQUALISATION_TRANSFER,
)
# What fills the cells of the risk adjustment: orders and spending, by industry.
CELL_ACCOUNTS = (Account.PREMIUM_INCOME, Account.BENEFIT_EXPENSE)
# Posted by the close of a month, so the figures of the close do not include them.
EQUALISATION_ACCOUNTS = (Account.EQUALISATION_TRANSFER, Account.EQUALISATION_CLEARING)


# The industries are the cells of the risk adjustment. A posting may have none.
CELLS = tuple(Industry)
NO_INDUSTRY_NUMBER, NO_INDUSTRY_NAME = 0, "NONE"


def industry_of(number: int) -> Industry | None:
    """The industry with this number; 0 is none."""
    return None if number == NO_INDUSTRY_NUMBER else Industry(number)


def industry_number(industry: Industry | None) -> int:
    """The number under which an industry is stored and sent; 0 for none."""
    return NO_INDUSTRY_NUMBER if industry is None else industry.value


def industry_name(industry: Industry | None) -> str:
    """The name of an industry in sources and in the canonical text; NONE for none."""
    return NO_INDUSTRY_NAME if industry is None else industry.name


class TransactionKind(Enum):
    """What a transaction records. With source and pooling area it is posted once."""

    PREMIUM_ASSESSED = "premium_assessed"
    PREMIUM_RECEIVED = "premium_received"
    BENEFITS_INSTRUCTED = "benefits_instructed"
    DISBURSED = "disbursed"
    DISBURSEMENT_REVERSED = "disbursement_reversed"
    EQUALISED = "equalised"


@dataclass(frozen=True)
class Posting:
    """One line (分录行).

    `quantity` counts orders behind premium income and payments behind benefit expense.
    """

    account: Account
    amount: Fen
    industry: Industry | None = None
    quantity: int = 0


@dataclass(frozen=True)
class LedgerTransaction:
    """A transaction (记账凭证): at least two postings that sum to zero, in one pooling area.

    `month` is the settlement month. It is later than the month of `accounting_date` for a
    transaction that arrives after its month was proposed. `subject` is the payment run that a
    disbursement or an instruction belongs to, else empty. Raises UnbalancedError.
    """

    kind: TransactionKind
    source: str
    pooling_area: str
    month: Month
    accounting_date: date
    text: str
    postings: tuple[Posting, ...]
    subject: str = ""

    def __post_init__(self) -> None:
        """Refuse a transaction that breaks the rule of double entry."""
        if len(self.postings) < 2:
            raise UnbalancedError(f"{self.source} has fewer than two postings")
        if difference := total(posting.amount for posting in self.postings):
            raise UnbalancedError(f"the postings of {self.source} sum to {difference}, not to 0")

    @property
    def id(self) -> str:
        """Derived from source, pooling area and kind, so that a repeated event has the same id."""
        return id_from(self.source, self.pooling_area, self.kind.value)


@dataclass(frozen=True)
class PremiumLine:
    """A line of an assessment: one pooling area and industry."""

    pooling_area: str
    industry: Industry | None
    order_count: int
    premium: Fen


@dataclass(frozen=True)
class ReceiptPart:
    """A pooling area's part of money received from a platform."""

    pooling_area: str
    premium: Fen
    surcharge: Fen
    credit: Fen


@dataclass(frozen=True)
class PaymentPart:
    """What one run added for a pooling area, an industry and a kind of benefit."""

    pooling_area: str
    industry: Industry | None
    benefit_kind: str
    payment_count: int
    amount: Fen


def premium_assessed(
    bill: str, month: Month, lines: Sequence[PremiumLine]
) -> list[LedgerTransaction]:
    """Premium receivable against premium income, per pooling area, in the month billed."""
    return [
        LedgerTransaction(
            kind=TransactionKind.PREMIUM_ASSESSED,
            source=bill,
            pooling_area=area,
            month=month,
            accounting_date=month.last_day,
            text=f"Premium of {month} assessed (保费核定)",
            postings=(
                Posting(
                    Account.PREMIUM_RECEIVABLE,
                    total(line.premium for line in lines if line.pooling_area == area),
                ),
                *(
                    Posting(Account.PREMIUM_INCOME, -line.premium, line.industry, line.order_count)
                    for line in sorted(lines, key=lambda line: industry_number(line.industry))
                    if line.pooling_area == area
                ),
            ),
        )
        for area in sorted({line.pooling_area for line in lines})
    ]


def premium_received(
    receipt: str, receipt_date: date, parts: Sequence[ReceiptPart]
) -> list[LedgerTransaction]:
    """Money in the fiscal special account against what it pays, per pooling area.

    A part without any amount has no transaction.
    """
    transactions = []
    for part in sorted(parts, key=lambda part: part.pooling_area):
        pays = (
            (Account.PREMIUM_RECEIVABLE, part.premium),
            (Account.SURCHARGE_INCOME, part.surcharge),
            (Account.PREMIUM_CREDIT, part.credit),
        )
        pays_off = tuple(Posting(account, -amount) for account, amount in pays if amount)
        if not pays_off:
            continue
        # A set-off of credit moves no money: then the parts cancel out among themselves.
        received = part.premium + part.surcharge + part.credit
        money = (Posting(Account.FISCAL_SPECIAL_ACCOUNT, received),) if received else ()
        transactions.append(
            LedgerTransaction(
                kind=TransactionKind.PREMIUM_RECEIVED,
                source=receipt,
                pooling_area=part.pooling_area,
                month=Month.of(receipt_date),
                accounting_date=receipt_date,
                text="Premium received (实缴入库)",
                postings=(*money, *pays_off),
            )
        )
    return transactions


def benefits_instructed(
    payment_run: str, addition: int, month: Month, part: PaymentPart
) -> LedgerTransaction:
    """Benefit expense against benefits payable, by industry, in the month of the run.

    `addition` numbers what the run added, so that each addition is posted once.
    """
    industry = industry_name(part.industry)
    return LedgerTransaction(
        kind=TransactionKind.BENEFITS_INSTRUCTED,
        source=f"{payment_run}/additions/{addition}/{industry}/{part.benefit_kind}",
        subject=payment_run,
        pooling_area=part.pooling_area,
        month=month,
        accounting_date=month.last_day,
        text=f"Benefits instructed (待遇支付): {part.benefit_kind}",
        postings=(
            Posting(Account.BENEFIT_EXPENSE, part.amount, part.industry, part.payment_count),
            Posting(Account.BENEFITS_PAYABLE, -part.amount, part.industry),
        ),
    )


@dataclass(frozen=True)
class Disbursement:
    """Money that has left the account for a payment run (拨付发放)."""

    id: str
    payment_run: str
    pooling_area: str
    disburse_date: date
    amount: Fen
    bank_reference: str
    is_reversed: bool = False

    @property
    def name(self) -> str:
        """The resource name."""
        return f"disbursements/{self.id}"


def disbursed(disbursement: Disbursement) -> LedgerTransaction:
    """Benefits payable against the fiscal special account, in the month of the bank's day."""
    return LedgerTransaction(
        kind=TransactionKind.DISBURSED,
        source=disbursement.name,
        subject=disbursement.payment_run,
        pooling_area=disbursement.pooling_area,
        month=Month.of(disbursement.disburse_date),
        accounting_date=disbursement.disburse_date,
        text="Benefits disbursed (拨付发放)",
        postings=(
            Posting(Account.BENEFITS_PAYABLE, disbursement.amount),
            Posting(Account.FISCAL_SPECIAL_ACCOUNT, -disbursement.amount),
        ),
    )


def disbursement_reversed(disbursement: Disbursement, day: date) -> LedgerTransaction:
    """The mirror of a disbursement, in the month of the day on which it is reversed (冲正)."""
    original = disbursed(disbursement)
    return replace(
        original,
        kind=TransactionKind.DISBURSEMENT_REVERSED,
        month=Month.of(day),
        accounting_date=day,
        text="Disbursement reversed (拨付冲正)",
        postings=tuple(replace(each, amount=-each.amount) for each in original.postings),
    )


def equalised(
    month: Month, pooling_area: str, transfers: Sequence[tuple[str, Fen]]
) -> LedgerTransaction | None:
    """A pooling area's equalisation transfers of a month; None if there is nothing to post.

    `transfers` are (rule, amount), positive for what the area receives. An area that receives has
    income, a credit, against a receivable from the other areas, a debit.
    """
    moved = [(rule, amount) for rule, amount in transfers if amount != ZERO]
    if not moved:
        return None
    rules = ", ".join(f"{rule} {amount.yuan}" for rule, amount in moved)
    return LedgerTransaction(
        kind=TransactionKind.EQUALISED,
        source=f"settlementPeriods/{month}",
        pooling_area=pooling_area,
        month=month,
        accounting_date=month.last_day,
        text=f"Equalisation (调剂金划转): {rules}",
        postings=tuple(
            posting
            for _, amount in moved
            for posting in (
                Posting(Account.EQUALISATION_TRANSFER, -amount),
                Posting(Account.EQUALISATION_CLEARING, amount),
            )
        ),
    )
