"""Events that a service could not handle: stored, listed, and retried by an administrator."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

from sqlalchemy import Row, text

from services.runtime.events.envelope import Envelope
from services.runtime.storage import revisions
from services.runtime.storage.database import Transaction

_COLUMNS = (
    "producer, epoch, pub_seq, subject, payload, error, create_time, resolve_time,"
    " dismissal, dismissal_code"
)


class DismissalCode(IntEnum):
    """Why a dead letter needs no effect; the numbers are those of the proto."""

    SUPERSEDED = 1
    HANDLED_BY_HAND = 2
    SENT_IN_ERROR = 3
    PRODUCER_RETIRED = 4
    NOTHING_TO_DO = 5


@dataclass(frozen=True)
class Dismissal:
    """Why a person dismissed a dead letter: a code and a sentence."""

    code: DismissalCode
    reason: str


@dataclass(frozen=True)
class DeadLetter:
    """An event that failed, the class of the error, and when it was resolved, if it was."""

    envelope: Envelope
    error: str
    create_time: datetime
    resolve_time: datetime | None
    # Why a person dismissed it without its effect, if one did.
    dismissal: Dismissal | None = None

    @property
    def name(self) -> str:
        """`deadLetters/{producer}-{epoch}-{pub_seq}`."""
        return f"deadLetters/{self.envelope.name}"

    @property
    def key(self) -> tuple[object, ...]:
        """Its sort key in a list, oldest first."""
        envelope = self.envelope
        return self.create_time, envelope.producer, envelope.epoch, envelope.pub_seq


async def insert(tx: Transaction, envelope: Envelope, error: str, now: datetime) -> None:
    """Store an event that failed; a dead letter that exists stays unchanged."""
    await tx.execute(
        text(
            "insert into dead_letter"
            " (producer, epoch, pub_seq, subject, payload, error, create_time)"
            " values (:producer, :epoch, :pub_seq, :subject, :payload, :error, :now)"
            " on conflict do nothing"
        ),
        {
            "producer": envelope.producer,
            "epoch": envelope.epoch,
            "pub_seq": envelope.pub_seq,
            "subject": envelope.subject,
            "payload": envelope.payload,
            "error": error,
            "now": now,
        },
    )


async def list_dead_letters(
    tx: Transaction,
    *,
    size: int,
    after: tuple[Any, ...] = (),
    include_resolved: bool = False,
) -> list[DeadLetter]:
    """A page of dead letters, oldest first; `after` is the key of the last one before it."""
    where = ["true" if include_resolved else "resolve_time is null"]
    key: dict[str, object] = {}
    if after:
        where.append(
            "(create_time, producer, epoch, pub_seq) > (:create_time, :producer, :epoch, :pub_seq)"
        )
        key = dict(zip(("create_time", "producer", "epoch", "pub_seq"), after, strict=True))
    rows = await tx.execute(
        text(
            f"select {_COLUMNS} from dead_letter where {' and '.join(where)}"  # noqa: S608 - constants
            " order by create_time, producer, epoch, pub_seq limit :size"
        ),
        {**key, "size": size},
    )
    return [_dead_letter(row) for row in rows]


async def find(tx: Transaction, producer: str, epoch: str, pub_seq: int) -> DeadLetter | None:
    """A dead letter, locked so that it is not retried twice at once."""
    row = (
        await tx.execute(
            text(
                f"select {_COLUMNS} from dead_letter"  # noqa: S608 - constants
                " where producer = :producer and epoch = :epoch and pub_seq = :pub_seq for update"
            ),
            {"producer": producer, "epoch": epoch, "pub_seq": pub_seq},
        )
    ).first()
    if row is None:
        return None
    letter = _dead_letter(row)
    revisions.note(letter.name, letter.resolve_time)
    return letter


async def resolve(
    tx: Transaction, envelope: Envelope, now: datetime, *, dismissal: Dismissal | None = None
) -> None:
    """Mark a dead letter as resolved: by its effect, or by a dismissal."""
    await tx.execute(
        text(
            "update dead_letter set resolve_time = :now, dismissal = :reason,"
            " dismissal_code = :code"
            " where producer = :producer and epoch = :epoch and pub_seq = :pub_seq"
        ),
        {
            "now": now,
            "reason": dismissal.reason if dismissal else "",
            "code": dismissal.code if dismissal else 0,
            "producer": envelope.producer,
            "epoch": envelope.epoch,
            "pub_seq": envelope.pub_seq,
        },
    )


async def open_count(tx: Transaction, producer: str = "") -> int:
    """Dead letters that are not resolved, of all producers or of one."""
    result = await tx.execute(
        text(
            "select count(*) from dead_letter"
            " where resolve_time is null and (:producer = '' or producer = :producer)"
        ),
        {"producer": producer},
    )
    return int(result.scalar_one())


def _dead_letter(row: Row[tuple[object, ...]]) -> DeadLetter:
    envelope = Envelope(row.producer, row.epoch, row.pub_seq, row.subject, bytes(row.payload))
    dismissal = (
        Dismissal(DismissalCode(row.dismissal_code), row.dismissal) if row.dismissal_code else None
    )
    return DeadLetter(envelope, row.error, row.create_time, row.resolve_time, dismissal)
