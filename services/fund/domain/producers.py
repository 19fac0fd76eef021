"""What the fund knows of the services whose months it settles: delivery, and the ended months."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from services.fund.domain.ledger import Account
from services.kernel.money import Fen, total
from services.kernel.periods import Month

# The services that end each month with an event; the treasury joins when it exists.
PRODUCERS = ("enrolment", "orders", "premiums", "claims", "grading", "benefits")
FUND = "fund"

PREMIUM_ASSESSED = "oip.premiums.v1.PremiumAssessed"
PREMIUM_RECEIVED = "oip.premiums.v1.PremiumReceived"
PAYMENT_INSTRUCTED = "oip.benefits.v1.PaymentInstructed"


@dataclass(frozen=True)
class Position:
    """How far the events of a producer's epoch are consumed; `is_whole` if none is missing."""

    seq: int
    fingerprint: bytes = b""
    is_whole: bool = True


@dataclass(frozen=True)
class Delivery:
    """How far a service has published, and how far it has consumed each producer.

    `written_count` are the events of the epoch, published or not. `consumed` is by producer and
    epoch. `confirmed` is the service's fingerprint at the fund's own position.
    """

    epoch: str
    written_count: int
    published_seq: int
    dead_letter_count: int = 0
    alarm_count: int = 0
    lost_event_count: int = 0
    is_behind: bool = False
    consumed: Mapping[tuple[str, str], Position] = field(default_factory=dict)
    confirmed: bytes = b""
    # Of the events published in the epoch.
    fingerprint: bytes = b""
    # The last number of each earlier epoch.
    closed: Mapping[str, int] = field(default_factory=dict)

    def consumes(self, producer: str) -> bool:
        """Whether the service consumes a producer."""
        return any(name == producer for name, _ in self.consumed)


@dataclass(frozen=True)
class Deliveries:
    """The answers of the producers, and the fund's own state when they were asked.

    A producer that cannot be reached has None. `targets` are the numbers of events that each had
    written when it was first asked: all of them have to be published and consumed.
    """

    fund: Delivery
    answers: Mapping[str, Delivery | None]
    targets: Mapping[str, int]


@dataclass(frozen=True)
class EventTotal:
    """The events of one kind in a producer's month, and the money they report."""

    event: str
    event_count: int
    amount: Fen


@dataclass(frozen=True)
class EndedMonth:
    """A producer's month with the number of its MonthEnded, and what it counted.

    No event of the producer with a higher number belongs to the month. `fingerprint` is that of
    the epoch's events up to this number; empty while it is not computed.
    """

    producer: str
    month: Month
    epoch: str
    pub_seq: int
    totals: tuple[EventTotal, ...]
    fingerprint: bytes = b""

    @property
    def lines(self) -> list[str]:
        """Its lines in the canonical text."""
        return [
            f"ended {self.producer} {self.epoch} {self.pub_seq} {self.fingerprint.hex()}",
            *(
                f"counted {entry.event} {entry.event_count} {entry.amount.count}"
                for entry in self.totals
            ),
        ]

    def amount_of(self, event: str) -> Fen:
        """The money that the month's events of a kind report."""
        return total(entry.amount for entry in self.totals if entry.event == event)


@dataclass(frozen=True)
class Cursor:
    """The last event of a producer that can belong to a month."""

    producer: str
    epoch: str
    pub_seq: int
    fingerprint: bytes


def sorted_by_producer(ended: Iterable[EndedMonth]) -> list[EndedMonth]:
    """Ended months in the order of the canonical text."""
    return sorted(ended, key=lambda entry: entry.producer)


def cursors_in(text: str) -> tuple[Cursor, ...]:
    """The cursors in a canonical text."""
    fields = (line.split(" ") for line in text.splitlines() if line.startswith("ended "))
    return tuple(
        Cursor(producer, epoch, int(pub_seq), bytes.fromhex(fingerprint))
        for _, producer, epoch, pub_seq, fingerprint in fields
    )


def posted_sums(balances: Mapping[Account, Fen]) -> dict[str, tuple[str, Fen]]:
    """What the fund posted in a month, by the event behind it: its producer and the sum.

    `balances` are the month's sums by account over the province; a debit is positive.
    """

    def sum_of(*accounts: Account) -> Fen:
        return total(balances[account] for account in accounts if account in balances)

    # Receivables are premiums assessed less premiums received.
    received = -sum_of(
        Account.PREMIUM_INCOME,
        Account.PREMIUM_RECEIVABLE,
        Account.SURCHARGE_INCOME,
        Account.PREMIUM_CREDIT,
    )
    return {
        PREMIUM_ASSESSED: ("premiums", -sum_of(Account.PREMIUM_INCOME)),
        PREMIUM_RECEIVED: ("premiums", received),
        PAYMENT_INSTRUCTED: ("benefits", sum_of(Account.BENEFIT_EXPENSE)),
    }
