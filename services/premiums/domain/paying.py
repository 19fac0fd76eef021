"""Bills and what is paid on them: arrears, surcharge (滞纳金), receipts, credit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from enum import Enum
from fractions import Fraction

from services.kernel.law import Finding, Outcome, facts
from services.kernel.lifecycle import Lifecycle
from services.kernel.money import ZERO, Fen, share, total
from services.kernel.periods import Month
from services.premiums.domain.law import ARREARS_FINE, SURCHARGE, Law


class BillState(Enum):
    """The states of a bill."""

    ASSESSED = 1
    SETTLED = 2


LIFECYCLE = Lifecycle(
    {
        "receive": {
            BillState.ASSESSED: BillState.ASSESSED,
            BillState.SETTLED: BillState.SETTLED,
        },
        "settle": {BillState.ASSESSED: BillState.SETTLED},
    }
)


@dataclass(frozen=True)
class Due:
    """A part of a bill with the day from which it counts as overdue. Negative lowers the others."""

    due: date
    premium: Fen


@dataclass(frozen=True)
class Paid:
    """What came in on a day, as it was allotted."""

    day: date
    premium: Fen
    surcharge: Fen = ZERO
    credit: Fen = ZERO


@dataclass(frozen=True)
class Area:
    """A pooling area's share of a bill: its premium, and what of it is paid."""

    pooling_area: str
    premium: Fen
    received: Fen = ZERO

    @property
    def open(self) -> Fen:
        """Premium not received; negative where orders were taken back."""
        return self.premium - self.received


@dataclass(frozen=True)
class Bill:
    """A platform's bill of a month with all that has to do with it."""

    platform: str
    month: Month
    due: date
    state: BillState
    revision: int
    dues: tuple[Due, ...]
    areas: tuple[Area, ...]
    paid: tuple[Paid, ...] = ()

    @property
    def name(self) -> str:
        """`platforms/{credit code}/premiumBills/{month}`."""
        return f"platforms/{self.platform}/premiumBills/{self.month}"

    @property
    def premium(self) -> Fen:
        """The sum of the lines."""
        return total(due.premium for due in self.dues)

    @property
    def received(self) -> Fen:
        """Premium received so far."""
        return total(paid.premium for paid in self.paid)

    def up_to(self, day: date) -> tuple[Paid, ...]:
        """What came in until a day, that day included."""
        return tuple(paid for paid in self.paid if paid.day <= day)


@dataclass(frozen=True)
class Standing:
    """What a platform owes for a bill on a day."""

    day: date
    assessed: Fen
    received: Fen
    arrears: Fen  # premium overdue
    surcharge: Fen  # accrued up to the day, less what was paid of it
    days_late: int
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Told:
    """A bill's premium and orders of one pooling area and industry, as its event tells them."""

    pooling_area: str
    industry: int
    order_count: int
    premium: Fen


@dataclass(frozen=True)
class Part:
    """One pooling area's part of a receipt."""

    pooling_area: str
    premium: Fen = ZERO
    surcharge: Fen = ZERO
    credit: Fen = ZERO


@dataclass(frozen=True)
class Receipt:
    """Money that came in, or a set-off of 0 fen, as it was allotted. Parts sum to it."""

    platform: str
    month: Month
    day: date
    amount: Fen
    premium: Fen
    surcharge: Fen
    credit: Fen
    parts: tuple[Part, ...]
    bank_reference: str | None = None
    id: str = ""
    findings: tuple[Finding, ...] = field(default=(), compare=False)

    @property
    def name(self) -> str:
        """`premiumReceipts/{id}`."""
        return f"premiumReceipts/{self.id}"

    @property
    def bill(self) -> str:
        """The bill it pays."""
        return f"platforms/{self.platform}/premiumBills/{self.month}"


def surcharge(unpaid: Fen, due: date, paid: date, daily_rate: Decimal) -> Fen:
    """Surcharge on one unpaid sum: simple, from the day after `due` to the day of payment."""
    return unpaid.times(daily_rate * max(0, (paid - due).days))


def accrued_surcharge(
    dues: Sequence[Due], paid: Iterable[Paid], day: date, daily_rate: Decimal
) -> tuple[Fen, str]:
    """The surcharge accrued by the end of a day, and its arithmetic.

    Simple, 0.05 % a day on the premium unpaid on that day, from the day after the due date to the
    day of payment inclusive. Payments go to what was due first. Rounded once, half up.
    """
    parts = _positive(dues)
    left = [due.premium.count for due in parts]
    terms: list[tuple[int, int]] = []
    for payment in sorted(paid, key=lambda one: one.day):
        amount = payment.premium.count
        for index, part in enumerate(parts):
            taken = max(0, min(amount, left[index]))
            left[index] -= taken
            amount -= taken
            terms.append((taken, (payment.day - part.due).days))
    terms += [(fen, (day - part.due).days) for fen, part in zip(left, parts, strict=True)]
    late = [(fen, days) for fen, days in terms if fen and days > 0]
    fen_days = sum(fen * days for fen, days in late)
    found = Fen(1).times(fen_days * daily_rate)
    shown = " + ".join(f"{Fen(fen).yuan} x {daily_rate} x {days}" for fen, days in late)
    return found, f"{shown} = {found.yuan}" if late else ""


def standing(bill: Bill, day: date, law: Law) -> Standing:
    """What a platform owes for a bill at the end of a day."""
    rate = law.on("surcharge_rate", bill.due)
    paid = bill.up_to(day)
    received = total(one.premium for one in paid)
    accrued, arithmetic = accrued_surcharge(bill.dues, paid, day, rate.decimal)
    late = _overdue(bill.dues, received, day)
    arrears = total(part.premium for part in late)
    owed = accrued - total(one.surcharge for one in paid)
    days_late = max(((day - part.due).days for part in late), default=0)
    findings = [
        Finding(
            SURCHARGE,
            Outcome.CALCULATED if accrued else Outcome.NOT_MET,
            f"By {day} the surcharge is {accrued.yuan} yuan on {arrears.yuan} yuan of arrears."
            if accrued
            else f"By {day} nothing was paid late, so there is no surcharge.",
            f"截至 {day} 滞纳金 {accrued.yuan} 元, 欠费 {arrears.yuan} 元。"
            if accrued
            else f"截至 {day} 无逾期, 不加收滞纳金。",
            inputs=facts(due_date=bill.due, assessed=bill.premium, received=received, day=day),
            outputs=facts(arrears=arrears, surcharge=accrued),
            parameters=(rate.version,),
            arithmetic=arithmetic,
        )
    ]
    if arrears:
        findings.append(fine(arrears, day, law))
    return Standing(day, bill.premium, received, arrears, owed, days_late, tuple(findings))


def fine(arrears: Fen, day: date, law: Law) -> Finding:
    """The range of the fine on arrears that stay unpaid after notice; a person fixes it."""
    times = law.on("arrears_fine", day)
    least, most = arrears.times(times.at("least")), arrears.times(times.at("most"))
    return Finding(
        ARREARS_FINE,
        Outcome.UNCLEAR,
        f"If it stays unpaid after notice, a fine of {least.yuan} to {most.yuan} yuan is possible.",
        f"经催告仍未缴纳的, 可处 {least.yuan} 至 {most.yuan} 元罚款。",
        inputs=facts(arrears=arrears),
        outputs=facts(least=least, most=most),
        parameters=(times.version,),
    )


def receive(bill: Bill, amount: Fen, day: date, law: Law, bank_reference: str) -> Receipt:
    """Allot a receipt: the premium first, then the surcharge up to the day, the rest is credit."""
    open_premium = Fen(max(0, (bill.premium - bill.received).count))
    to_premium = min(amount, open_premium)
    after = standing(_with(bill, Paid(day, to_premium)), day, law)
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


def set_off(bill: Bill, credit: Mapping[str, Fen], day: date, law: Law) -> Receipt:
    """Pay a bill from credit held by pooling area: a receipt of 0 fen (抵缴)."""
    held = total(credit.values())
    paid = receive(bill, held, day, law, "")
    used = paid.premium + paid.surcharge
    taken = _apportion(-used, {area: fen for area, fen in credit.items() if fen})
    return Receipt(
        platform=bill.platform,
        month=bill.month,
        day=day,
        amount=ZERO,
        premium=paid.premium,
        surcharge=paid.surcharge,
        credit=-used,
        parts=_merge(_parts(bill, paid.premium, paid.surcharge, ZERO), taken),
        findings=paid.findings,
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
            Part(area.pooling_area, premium=area.premium, credit=-area.premium)
            for area in bill.areas
            if area.premium
        ),
    )


def after_receipt(bill: Bill, receipt: Receipt, law: Law) -> Bill:
    """The bill with a receipt on it: settled once premium and surcharge are paid."""
    paid = Paid(receipt.day, receipt.premium, receipt.surcharge, receipt.credit)
    after = _with(bill, paid)
    state = LIFECYCLE.after(bill.state, "receive")
    last = max(one.day for one in after.paid)
    owed = standing(after, max(last, after.due), law).surcharge
    if state is BillState.ASSESSED and after.received == after.premium and owed.count <= 0:
        state = LIFECYCLE.after(state, "settle")
    return replace(after, state=state, revision=bill.revision + 1)


def _with(bill: Bill, paid: Paid) -> Bill:
    return replace(bill, paid=(*bill.paid, paid))


def _positive(dues: Sequence[Due]) -> list[Due]:
    """The parts of a bill by due date; what was taken back lowers the part due last."""
    taken = -sum(min(0, due.premium.count) for due in dues)
    found: list[Due] = []
    for due in sorted(dues, key=lambda one: one.due, reverse=True):
        if due.premium.count > 0:
            less = min(taken, due.premium.count)
            taken -= less
            found.append(Due(due.due, Fen(due.premium.count - less)))
    return found[::-1]


def _overdue(dues: Sequence[Due], received: Fen, day: date) -> list[Due]:
    """What of a bill is unpaid and past its due date; payments go to what was due first."""
    left, found = received.count, []
    for due in _positive(dues):
        paid = max(0, min(left, due.premium.count))
        left -= paid
        if due.due < day and paid < due.premium.count:
            found.append(Due(due.due, Fen(due.premium.count - paid)))
    return found


def _parts(bill: Bill, premium: Fen, to_surcharge: Fen, credit: Fen) -> tuple[Part, ...]:
    """A receipt over the pooling areas: premium by what is open, the rest by the bill's premium."""
    weights = [max(0, area.premium.count) for area in bill.areas]
    if not any(weights):
        weights = [1] * len(weights)
    names = [area.pooling_area for area in bill.areas]
    premiums = _apportion(premium, {area.pooling_area: area.open for area in bill.areas})
    surcharges = dict(zip(names, share(to_surcharge, weights), strict=True))
    credits_ = dict(zip(names, share(credit, weights), strict=True))
    parts = [
        Part(name, premiums.get(name, ZERO), surcharges[name], credits_[name]) for name in names
    ]
    return tuple(part for part in parts if part.premium or part.surcharge or part.credit)


def _merge(parts: Iterable[Part], credit: Mapping[str, Fen]) -> tuple[Part, ...]:
    found = {part.pooling_area: part for part in parts}
    for area, fen in credit.items():
        held = found.get(area, Part(area))
        found[area] = Part(area, held.premium, held.surcharge, held.credit + fen)
    return tuple(found[area] for area in sorted(found))


def _apportion(amount: Fen, weights: Mapping[str, Fen]) -> dict[str, Fen]:
    """Largest remainder over signed weights that sum to more than zero; parts sum to the amount.

    With the amount equal to the sum of the weights each part is its weight, so that a bill paid in
    full is paid in full in each pooling area, also where orders were taken back.
    """
    if not amount:
        return {}
    whole = sum(weight.count for weight in weights.values())
    exact = {name: Fraction(amount.count * fen.count, whole) for name, fen in weights.items()}
    floors = {name: part.numerator // part.denominator for name, part in exact.items()}
    left = amount.count - sum(floors.values())
    by_fraction = sorted(weights, key=lambda name: (floors[name] - exact[name], name))
    for name in by_fraction[:left]:
        floors[name] += 1
    return {name: Fen(count) for name, count in floors.items()}
