"""The erasures of persons, in each service that holds data of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from services.runtime.storage import data_keys
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction

_COLUMNS = (
    "position, name, code, document_number, document_hash, maker, signer, create_time, erase_time,"
    " obstacle"
)


@dataclass(frozen=True)
class Erasure:
    """Who is erased, by which ground and paper.

    `name` is the person (`workers/{id}`), `code` a number of `ErasureCode`. The service that
    decided it knows the two persons. Without a time of erasure the data key still stands, because
    of `obstacle`.
    """

    name: str
    code: int
    document_number: str
    document_hash: bytes
    create_time: datetime
    maker: str = ""
    signer: str = ""
    erase_time: datetime | None = None
    obstacle: str = ""
    position: int = 0


async def insert(tx: Transaction, cipher: ColumnCipher, erasure: Erasure) -> None:
    """Add an erasure."""
    row = {
        "person": data_keys.index_of(cipher, erasure.name),
        "name": erasure.name,
        "code": erasure.code,
        "document_number": erasure.document_number,
        "document_hash": erasure.document_hash,
        "maker": erasure.maker,
        "signer": erasure.signer,
        "create_time": erasure.create_time,
        "erase_time": erasure.erase_time,
        "obstacle": erasure.obstacle,
    }
    await tx.execute(
        sa.text(
            "insert into erasure (person, name, code, document_number, document_hash, maker,"
            "  signer, create_time, erase_time, obstacle)"
            " values (:person, :name, :code, :document_number, :document_hash, :maker,"
            "  :signer, :create_time, :erase_time, :obstacle)"
        ),
        row,
    )


async def find(tx: Transaction, name: str) -> Erasure | None:
    """The erasure of a person."""
    rows = await tx.execute(
        sa.text(f"select {_COLUMNS} from erasure where name = :name"),  # noqa: S608 - constants
        {"name": name},
    )
    row = rows.one_or_none()
    return None if row is None else _erasure(row)


async def list_waiting(tx: Transaction) -> list[Erasure]:
    """The erasures that an obstacle has kept so far, locked; those that others lock are left."""
    rows = await tx.execute(
        sa.text(
            f"select {_COLUMNS} from erasure where erase_time is null"  # noqa: S608 - constants
            " order by position for update skip locked"
        )
    )
    return [_erasure(row) for row in rows]


async def list_by_position(tx: Transaction, after: int, size: int) -> list[Erasure]:
    """At most `size` erasures after a position, the earliest first."""
    rows = await tx.execute(
        sa.text(
            f"select {_COLUMNS} from erasure where position > :after"  # noqa: S608 - constants
            " order by position limit :size"
        ),
        {"after": after, "size": size},
    )
    return [_erasure(row) for row in rows]


async def update_obstacle(tx: Transaction, name: str, obstacle: str) -> None:
    """Record what keeps an erasure now."""
    await tx.execute(
        sa.text("update erasure set obstacle = :obstacle where name = :name"),
        {"name": name, "obstacle": obstacle},
    )


async def update_erased(tx: Transaction, name: str, now: datetime) -> None:
    """Record that an erasure that waited has been done."""
    await tx.execute(
        sa.text("update erasure set erase_time = :now, obstacle = '' where name = :name"),
        {"name": name, "now": now},
    )


@dataclass(frozen=True)
class ErasureCounts:
    """How many persons are erased, how many wait for the end of a case, and what is wrong.

    `wrong` counts erased persons with a data key, and keys that were destroyed without an erasure.
    """

    erased: int
    waiting: int
    wrong: int


_COUNTS = """
select
    count(*) filter (where erase_time is not null) as erased,
    count(*) filter (where erase_time is null) as waiting,
    count(*) filter (where erase_time is not null
        and not exists (select from data_key where data_key.person = erasure.person
            and data_key.wrapped is null))
    + (select count(*) from data_key where wrapped is null and not exists (
        select from erasure where erasure.person = data_key.person and erase_time is not null)
    ) as wrong
from erasure
"""


async def count(tx: Transaction) -> ErasureCounts:
    """Recount erasures and destroyed keys."""
    row = (await tx.execute(sa.text(_COUNTS))).one()
    return ErasureCounts(row.erased, row.waiting, row.wrong)


@dataclass(frozen=True)
class Total:
    """A count, and a digest by which two services compare what they counted."""

    count: int
    digest: str


_DIGEST = "coalesce(sum(('x' || substr(md5({column}), 1, 15))::bit(60)::bigint), 0)::text"


async def total_of_known(tx: Transaction) -> Total:
    """The persons whose erasure this service knows, also if it still waits."""
    digest = _DIGEST.format(column="name")
    return await _total(tx, f"select count(*) as number, {digest} as digest from erasure")  # noqa: S608 - constants


async def total_of_erased(tx: Transaction) -> Total:
    """The persons whom this service has erased."""
    digest = _DIGEST.format(column="name")
    return await _total(
        tx,
        f"select count(*) as number, {digest} as digest from erasure"  # noqa: S608 - constants
        " where erase_time is not null",
    )


async def total_of_own_keys(tx: Transaction) -> Total:
    """The data keys that this service has destroyed and of which consumers may have copies."""
    digest = _DIGEST.format(column="id")
    return await _total(
        tx,
        f"select count(*) as number, {digest} as digest from data_key"  # noqa: S608 - constants
        " where wrapped is null and suite > 0",
    )


async def totals_of_producers(tx: Transaction, producers: Sequence[str]) -> dict[str, Total]:
    """The data keys of each producer of which this service keeps no copy, as they were erased."""
    digest = _DIGEST.format(column="id")
    rows = await tx.execute(
        sa.text(
            f"select producer, count(*) as number, {digest} as digest"  # noqa: S608 - constants
            " from producer_key where wrapped is null group by producer"
        )
    )
    held = {row.producer: Total(row.number, row.digest) for row in rows}
    return {producer: held.get(producer, Total(0, "0")) for producer in producers}


async def _total(tx: Transaction, statement: str) -> Total:
    row = (await tx.execute(sa.text(statement))).one()
    return Total(row.number, row.digest)


def _erasure(row: sa.Row[Any]) -> Erasure:
    return Erasure(
        name=row.name,
        code=row.code,
        document_number=row.document_number,
        document_hash=bytes(row.document_hash),
        maker=row.maker,
        signer=row.signer,
        create_time=row.create_time,
        erase_time=row.erase_time,
        obstacle=row.obstacle,
        position=row.position,
    )
