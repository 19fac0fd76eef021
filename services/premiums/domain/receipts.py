"""Receipts (实缴入库): how money and credit are allotted to a bill and its pooling areas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction

from services.kernel.identifiers import spelling_key
from services.kernel.law import Finding
from services.kernel.lawbook import Law
from services.kernel.money import ZERO, Fen, share, total
from services.kernel.names import id_from
from services.kernel.periods import Month
from services.kernel.problems import require_within
from services.premiums.domain.bills import LIFECYCLE, Allotment, Bill, BillState, bill_name
from services.premiums.domain.problems import (
    BankReferenceUsed,
    OccurrenceSkipped,
    ReceiptInFuture,
)
from services.premiums.domain.standing import standing


@dataclass(frozen=True)
class BankEntry:
    """An entry of the bank's statement: who received the money, and the bank's number.

    Banks use a number more than once; `occurrence` counts the payments of one account, day, number
    and amount, from 1.
    """

    account: str
    number: str
    occurrence: int = 1
    # Whether the person who records it has stated the occurrence.
    is_stated: bool = field(default=False, compare=False)

    @property
    def keys(self) -> tuple[str, str]:
        """What all spellings of the account, and of the number, have in common."""
        return spelling_key(self.account), spelling_key(self.number)


@dataclass(frozen=True)
class IncomingPayment:
    """Money as the bank's statement shows it."""

    amount: Fen
    day: date
    entry: BankEntry


def require_possible_day(payment: IncomingPayment, month: Month, today: date, law: Law) -> None:
    """Refuse a payment in the future, and one from before its bill's month or the scheme."""
    if payment.day > today:
        raise ReceiptInFuture(field="receipt_date", receipt_date=payment.day)
    first = max(month.first_day, law.day("scheme_start", today))
    require_within("receipt_date", payment.day, first, today)


def require_next_occurrence(payment: IncomingPayment, earlier: Sequence[Receipt]) -> None:
    """Refuse a second payment of one account, day and number that nobody has stated as such.

    `earlier` are the receipts of that account, day and number. Without a stated occurrence it is
    the first and only one, of whatever amount.
    """
    entry = payment.entry
    same = [receipt for receipt in earlier if receipt.amount == payment.amount]
    expected = len(same) + 1
    if entry.occurrence == expected and (entry.is_stated or not earlier):
        return
    if entry.occurrence > expected:
        raise OccurrenceSkipped(
            field="occurrence", occurrence=entry.occurrence, expected=expected, number=entry.number
        )
    receipt = (same or earlier)[-1]
    raise BankReferenceUsed(
        field="bank_reference",
        bank_reference=entry.number,
        receipt=receipt.name,
        bill=receipt.bill,
        amount=receipt.amount.yuan,
        expected=expected,
    )


@dataclass(frozen=True)
class ReceiptPart:
    """One pooling area's part of a receipt."""

    pooling_area: str
    premium: Fen = ZERO
    surcharge: Fen = ZERO
    credit: Fen = ZERO


@dataclass(frozen=True)
class Reversal:
    """Why a receipt is reversed: the id of the original, a code of ReversalCode, and words."""

    receipt: str
    code: int
    reason: str


@dataclass(frozen=True)
class Receipt:
    """Money received, or a set-off of 0 fen, as it was allotted. The parts sum to it."""

    platform: str
    month: Month
    day: date
    amount: Fen
    premium: Fen
    surcharge: Fen
    credit: Fen
    parts: tuple[ReceiptPart, ...]
    entry: BankEntry | None = None
    id: str = ""
    findings: tuple[Finding, ...] = field(default=(), compare=False)
    # How many receipts of the same payment were reversed before.
    attempt: int = 0
    reversal: Reversal | None = None

    @property
    def name(self) -> str:
        """`premiumReceipts/{id}`."""
        return f"premiumReceipts/{self.id}"

    @property
    def bill(self) -> str:
        """The name of the bill that it pays."""
        return bill_name(self.platform, self.month)

    def is_of(self, bill: Bill, payment: IncomingPayment) -> bool:
        """Whether it records this payment on this bill."""
        entry = payment.entry
        return (
            self.entry is not None
            and (self.bill, self.amount, self.day) == (bill.name, payment.amount, payment.day)
            and (*self.entry.keys, self.entry.occurrence) == (*entry.keys, entry.occurrence)
        )

    @property
    def allotment(self) -> Allotment:
        """The receipt as its bill has it."""
        return Allotment(self.day, self.premium, self.surcharge, self.credit)


def receive_premium(
    bill: Bill, amount: Fen, day: date, law: Law, entry: BankEntry | None = None
) -> Receipt:
    """Allot a receipt: the premium first, then the surcharge up to the day, the rest is credit."""
    open_premium = Fen(max(0, (bill.premium - bill.received).count))
    to_premium = min(amount, open_premium)
    after = standing(bill.plus(Allotment(day, to_premium)), day, law)
    to_surcharge = min(amount - to_premium, Fen(max(0, after.surcharge.count)))
    credit = amount - to_premium - to_surcharge
    return Receipt(
        platform=bill.platform,
        month=bill.month,
        day=day,
        amount=amount,
        premium=to_premium,
        surcharge=to_surcharge,
        credit=credit,
        parts=_parts(bill, to_premium, to_surcharge, credit),
        entry=entry,
        findings=after.findings[:1],
    )


def apply_credit(bill: Bill, credit: Mapping[str, Fen], day: date, law: Law) -> Receipt:
    """Pay a bill from credit by pooling area: a receipt of 0 fen (抵缴)."""
    allotted = receive_premium(bill, total(credit.values()), day, law)
    used = allotted.premium + allotted.surcharge
    taken = _apportion(-used, {area: fen for area, fen in credit.items() if fen})
    return Receipt(
        platform=bill.platform,
        month=bill.month,
        day=day,
        amount=ZERO,
        premium=allotted.premium,
        surcharge=allotted.surcharge,
        credit=-used,
        parts=_merge(_parts(bill, allotted.premium, allotted.surcharge, ZERO), taken),
        findings=allotted.findings,
    )


def give_credit(bill: Bill, day: date) -> Receipt:
    """Turn a bill of nothing or less into credit, area by area: a receipt of 0 fen (多退少补)."""
    return Receipt(
        platform=bill.platform,
        month=bill.month,
        day=day,
        amount=ZERO,
        premium=bill.premium,
        surcharge=ZERO,
        credit=-bill.premium,
        parts=tuple(
            ReceiptPart(area.pooling_area, premium=area.premium, credit=-area.premium)
            for area in bill.areas
            if area.premium
        ),
    )


def reverse_receipt(receipt: Receipt, code: int, reason: str) -> Receipt:
    """The mirror of a receipt or a set-off, on the same day and bill (冲正)."""
    return replace(
        receipt,
        amount=-receipt.amount,
        premium=-receipt.premium,
        surcharge=-receipt.surcharge,
        credit=-receipt.credit,
        parts=tuple(
            ReceiptPart(part.pooling_area, -part.premium, -part.surcharge, -part.credit)
            for part in receipt.parts
        ),
        entry=None,
        id=id_from(receipt.id, "reversal"),
        findings=(),
        attempt=0,
        reversal=Reversal(receipt.id, code, reason),
    )


def after_reversal(bill: Bill) -> Bill:
    """The bill after one of its receipts was reversed: open again."""
    state = LIFECYCLE.after(bill.state, "reverse")
    return replace(bill, state=state, revision=bill.revision + 1)


def after_receipt(bill: Bill, receipt: Receipt, law: Law) -> Bill:
    """The bill with a receipt on it: paid once premium and surcharge are paid."""
    after = bill.plus(receipt.allotment)
    state = LIFECYCLE.after(bill.state, "receive")
    last = max(allotment.day for allotment in after.allotments)
    owed = standing(after, max(last, after.due), law).surcharge
    if state is BillState.ASSESSED and after.received == after.premium and owed.count <= 0:
        state = LIFECYCLE.after(state, "pay")
    return replace(after, state=state, revision=bill.revision + 1)


def _parts(bill: Bill, premium: Fen, to_surcharge: Fen, credit: Fen) -> tuple[ReceiptPart, ...]:
    """A receipt over the pooling areas: premium by what is open, the rest by the bill's premium."""
    weights = [max(0, area.premium.count) for area in bill.areas]
    if not any(weights):
        weights = [1] * len(weights)
    areas = [area.pooling_area for area in bill.areas]
    premiums = _apportion(premium, {area.pooling_area: area.open for area in bill.areas})
    surcharges = dict(zip(areas, share(to_surcharge, weights), strict=True))
    credits_ = dict(zip(areas, share(credit, weights), strict=True))
    parts = [
        ReceiptPart(area, premiums.get(area, ZERO), surcharges[area], credits_[area])
        for area in areas
    ]
    return tuple(part for part in parts if part.premium or part.surcharge or part.credit)


def _merge(parts: Iterable[ReceiptPart], credit: Mapping[str, Fen]) -> tuple[ReceiptPart, ...]:
    merged = {part.pooling_area: part for part in parts}
    for area, fen in credit.items():
        part = merged.get(area, ReceiptPart(area))
        merged[area] = replace(part, credit=part.credit + fen)
    return tuple(merged[area] for area in sorted(merged))


def _apportion(amount: Fen, weights: Mapping[str, Fen]) -> dict[str, Fen]:
    """Largest remainder over signed weights that sum to more than zero; parts sum to the amount.

    With the amount equal to the sum of the weights each part is its weight, so that a bill paid in
    full is paid in full in each pooling area, also where orders were taken back.
    """
    if not amount:
        return {}
    whole = sum(weight.count for weight in weights.values())
    exact = {area: Fraction(amount.count * fen.count, whole) for area, fen in weights.items()}
    floors = {area: part.numerator // part.denominator for area, part in exact.items()}
    left = amount.count - sum(floors.values())
    by_fraction = sorted(weights, key=lambda area: (floors[area] - exact[area], area))
    for area in by_fraction[:left]:
        floors[area] += 1
    return {area: Fen(count) for area, count in floors.items()}
