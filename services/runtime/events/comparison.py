"""Whether a database holds every event that others hold of its service.

The stream and the consumers know what was published. If one of them holds a number that the
database has not assigned, another content at a number it has, or an epoch it does not know, the
database was restored from an earlier copy: it is behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.runtime.events import epochs, outbox
from services.runtime.events.envelope import Envelope
from services.runtime.storage.database import Transaction

STREAM = "stream"


@dataclass(frozen=True)
class Consumption:
    """How far a consumer holds one epoch of the producer; the fingerprint is of `whole_seq`."""

    consumer: str
    epoch: str
    max_seq: int
    whole_seq: int
    fingerprint: bytes


async def differences(
    tx: Transaction, published: Iterable[Envelope], consumptions: Iterable[Consumption]
) -> list[str]:
    """A sentence for each holder of events that this database does not hold; none if it does.

    `published` are events of the stream. Read both before the transaction opens: the database
    numbers an event before anybody else can hold it.
    """
    known = await epochs.list_epochs(tx)
    current = next(reversed(known))
    sentences: dict[str, str] = {}
    for envelope in await lost_of(tx, published):
        sentences.setdefault(STREAM, _sentence(STREAM, envelope.epoch, envelope.pub_seq, known))
    for row in consumptions:
        if row.max_seq > known.get(row.epoch, 0):
            sentence = _sentence(row.consumer, row.epoch, row.max_seq, known)
            sentences.setdefault(row.consumer, sentence)
        elif row.epoch == current and row.whole_seq:
            # What is held of earlier epochs was reconciled when they were closed.
            expected = await outbox.fingerprint_at(tx, row.epoch, row.whole_seq)
            if expected != row.fingerprint:
                sentences.setdefault(
                    row.consumer,
                    f"{row.consumer} holds other events up to {row.whole_seq} of epoch"
                    f" {row.epoch} than this database",
                )
    return list(sentences.values())


async def lost_of(tx: Transaction, published: Iterable[Envelope]) -> list[Envelope]:
    """The events that this database does not hold: unknown numbers, and other contents."""
    known = await epochs.list_epochs(tx)
    current = next(reversed(known))
    events = list(published)
    same = [event for event in events if event.epoch == current]
    hashes: dict[int, bytes] = {}
    if same:
        numbers = [event.pub_seq for event in same]
        hashes = await epochs.content_hashes(tx, current, min(numbers), max(numbers))
    return [
        event
        for event in events
        if (
            hashes.get(event.pub_seq) != event.content_hash
            if event.epoch == current
            else event.pub_seq > known.get(event.epoch, 0)
        )
    ]


def _sentence(holder: str, epoch: str, pub_seq: int, known: dict[str, int]) -> str:
    if epoch not in known:
        return f"{holder} holds epoch {epoch}, which this database does not know"
    return (
        f"{holder} holds event {pub_seq} of epoch {epoch}; this database has {known[epoch]}"
        " or another event at that number"
    )


def lines_of(consumptions: Sequence[Consumption]) -> list[str]:
    """The consumptions as lines of a digest."""
    return sorted(
        f"{row.consumer} {row.epoch} {row.max_seq} {row.whole_seq} {row.fingerprint.hex()}"
        for row in consumptions
    )
