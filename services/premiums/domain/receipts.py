"""Receipts (实缴入库): how money and credit are allotted to a bill and its pooling areas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction

from services.kernel.law import Finding
from services.kernel.lawbook import Law
from services.kernel.money import ZERO, Fen, share, total
from services.kernel.periods import Month
from services.premiums.domain.bills import LIFECYCLE, Allotment, Bill, BillState, bill_name
from services.premiums.domain.standing import standing


@dataclass(frozen=True)
class IncomingPayment:
    """Money as the bank's statement shows it."""

    amount: Fen
    day: date
    bank_reference: str


@dataclass(frozen=True)
class ReceiptPart:
    """One pooling area's part of a receipt."""

    pooling_area: str
    premium: Fen = ZERO
    surcharge: Fen = ZERO
    credit: Fen = ZERO


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
    bank_reference: str | None = None
    id: str = ""
    findings: tuple[Finding, ...] = field(default=(), compare=False)

    @property
    def name(self) -> str:
        """`premiumReceipts/{id}`."""
        return f"premiumReceipts/{self.id}"

    @property
    def bill(self) -> str:
        """The name of the bill that it pays."""
        return bill_name(self.platform, self.month)

    @property
    def allotment(self) -> Allotment:
        """The receipt as its bill has it."""
        return Allotment(self.day, self.premium, self.surcharge, self.credit)


def receive_premium(bill: Bill, amount: Fen, day: date, law: Law, bank_reference: str) -> Receipt:
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
        bank_reference=bank_reference,
        findings=after.findings[:1],
    )


def apply_credit(bill: Bill, credit: Mapping[str, Fen], day: date, law: Law) -> Receipt:
    """Pay a bill from credit by pooling area: a receipt of 0 fen (抵缴)."""
    allotted = receive_premium(bill, total(credit.values()), day, law, "")
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
