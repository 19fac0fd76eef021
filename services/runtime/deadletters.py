"""Events that a service could not handle: kept, shown, and handled again when a person says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, text

from services.runtime.carried import Carried
from services.runtime.database import Transaction

_COLUMNS = "producer, epoch, pub_seq, subject, payload, error, create_time, settle_time"


@dataclass(frozen=True)
class DeadLetter:
    """An event put aside, the class of the error, and when it was settled if it was."""

    carried: Carried
    error: str
    create_time: datetime
    settle_time: datetime | None

    @property
    def name(self) -> str:
        """`deadLetters/{producer}-{epoch}-{pub_seq}`."""
        return f"deadLetters/{self.carried.name}"


async def put(tx: Transaction, carried: Carried, error: str, now: datetime) -> None:
    """Put an event aside; one that is there already stays as it is."""
    await tx.execute(
        text(
            "insert into dead_letter"
            " (producer, epoch, pub_seq, subject, payload, error, create_time)"
            " values (:producer, :epoch, :pub_seq, :subject, :payload, :error, :now)"
            " on conflict do nothing"
        ),
        {
            "producer": carried.producer,
            "epoch": carried.epoch,
            "pub_seq": carried.pub_seq,
            "subject": carried.subject,
            "payload": carried.payload,
            "error": error,
            "now": now,
        },
    )


async def list_letters(
    tx: Transaction,
    *,
    size: int,
    after: tuple[datetime, str, str, int] | None = None,
    include_settled: bool = False,
) -> list[DeadLetter]:
    """A page of dead letters, oldest first, after the place of the last one of the page before."""
    where = ["true" if include_settled else "settle_time is null"]
    place: dict[str, object] = {}
    if after is not None:
        where.append(
            "(create_time, producer, epoch, pub_seq) > (:create_time, :producer, :epoch, :pub_seq)"
        )
        place = dict(zip(("create_time", "producer", "epoch", "pub_seq"), after, strict=True))
    rows = await tx.execute(
        text(
            f"select {_COLUMNS} from dead_letter where {' and '.join(where)}"  # noqa: S608 - constants
            " order by create_time, producer, epoch, pub_seq limit :size"
        ),
        {**place, "size": size},
    )
    return [_letter(row) for row in rows]


async def find(tx: Transaction, producer: str, epoch: str, pub_seq: int) -> DeadLetter | None:
    """One dead letter, locked so that two people do not retry it at once."""
    row = (
        await tx.execute(
            text(
                f"select {_COLUMNS} from dead_letter"  # noqa: S608 - constants
                " where producer = :producer and epoch = :epoch and pub_seq = :pub_seq for update"
            ),
            {"producer": producer, "epoch": epoch, "pub_seq": pub_seq},
        )
    ).first()
    return None if row is None else _letter(row)


async def settle(tx: Transaction, carried: Carried, now: datetime) -> None:
    """Mark a dead letter as settled."""
    await tx.execute(
        text(
            "update dead_letter set settle_time = :now"
            " where producer = :producer and epoch = :epoch and pub_seq = :pub_seq"
        ),
        {
            "now": now,
            "producer": carried.producer,
            "epoch": carried.epoch,
            "pub_seq": carried.pub_seq,
        },
    )


async def open_count(tx: Transaction) -> int:
    """Dead letters that nobody has settled."""
    result = await tx.execute(text("select count(*) from dead_letter where settle_time is null"))
    return int(result.scalar_one())


def _letter(row: Row[tuple[object, ...]]) -> DeadLetter:
    carried = Carried(row.producer, row.epoch, row.pub_seq, row.subject, bytes(row.payload))
    return DeadLetter(carried, row.error, row.create_time, row.settle_time)
