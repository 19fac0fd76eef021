"""The data keys of a service: one for each person whose data it holds, and one of its own.

A command encrypts what it stores about a person under `of_person`; a store reads rows with
`for_rows`, which loads the keys that their values name. Keys are read in each transaction and not
kept after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa

from services.runtime.storage.crypto import (
    HEADER_BYTES,
    ID_BYTES,
    NEWEST_SUITE,
    ColumnCipher,
    DataKey,
    DecryptionError,
    key_id_of,
)
from services.runtime.storage.database import Database, Transaction

# The person by which the key of the service itself is stored.
SERVICE = ""

# Where wrapped keys are: those of this service, and those of producers.
WRAPPED_TABLES = ("data_key", "producer_key")

_DATA_KEY_ID = re.compile(rf"[0-9a-f]{{{2 * ID_BYTES}}}")
_COLUMNS = "id, person, suite, wrapped"
_noted: ContextVar[set[str] | None] = ContextVar("persons", default=None)


async def open_service_key(database: Database, cipher: ColumnCipher) -> None:
    """Let a process encrypt under the key of its service, made at the first start."""
    async with database.begin() as tx:
        cipher.adopt((await _keys_of(tx, cipher, [SERVICE]))[SERVICE])


async def of_person(tx: Transaction, cipher: ColumnCipher, person: str) -> ColumnCipher:
    """The cipher under a person's data key, made at the first use; `person` is a resource name.

    Without a person, the cipher as it is.
    """
    return (await of_persons(tx, cipher, [person]))[person] if person else cipher


async def of_persons(
    tx: Transaction, cipher: ColumnCipher, persons: Iterable[str]
) -> Mapping[str, ColumnCipher]:
    """The cipher under the data key of each person."""
    keys = await _keys_of(tx, cipher, sorted(set(persons)))
    noted = _noted.get()
    if noted is not None:
        noted.update(keys)
    return {person: cipher.under(key) for person, key in keys.items()}


async def for_rows(
    tx: Transaction, cipher: ColumnCipher, rows: Iterable[Sequence[Any]]
) -> ColumnCipher:
    """A cipher that knows the data keys of all encrypted values in these rows."""
    missing = {
        key_id
        for row in rows
        for value in row
        if isinstance(value, bytes | memoryview)
        and (key_id := _key_id(bytes(value)))
        and not cipher.knows(key_id)
    }
    if not missing:
        return cipher
    loaded = _loaded(tx)
    unread = sorted(missing - loaded.by_id.keys())
    if unread:
        stored = await tx.execute(
            sa.text(f"select {_COLUMNS} from data_key where id = any(:ids)"),  # noqa: S608 - constants
            {"ids": unread},
        )
        _load(loaded, cipher, stored)
    return cipher.knowing(loaded.by_id[key_id] for key_id in missing if key_id in loaded.by_id)


async def list_of_persons(
    tx: Transaction, cipher: ColumnCipher, key_ids: Iterable[str]
) -> list[DataKey]:
    """The data keys with these ids, without that of the service."""
    rows = await tx.execute(
        sa.text(
            f"select {_COLUMNS} from data_key"  # noqa: S608 - constants
            " where id = any(:ids) and person <> :service order by id"
        ),
        {"ids": list(key_ids), "service": _index(cipher, SERVICE)},
    )
    return [_data_key(cipher, row) for row in rows]


@contextmanager
def noting(persons: set[str]) -> Iterator[None]:
    """Collect in `persons` under whose keys the block encrypts, and only those."""
    persons.clear()
    token = _noted.set(persons)
    try:
        yield
    finally:
        _noted.reset(token)


async def of_only_person(
    tx: Transaction, cipher: ColumnCipher, persons: Iterable[str]
) -> ColumnCipher:
    """The cipher under the key of the only person that a change concerns, else of the service."""
    concerned = list(persons)
    return await of_person(tx, cipher, concerned[0]) if len(concerned) == 1 else cipher


@dataclass(frozen=True)
class Rewrapped:
    """Data keys that were wrapped with the newest wrapping key, and those that still wait."""

    count: int
    remaining_count: int


async def rewrap(tx: Transaction, cipher: ColumnCipher, limit: int) -> Rewrapped:
    """Wrap at most `limit` data keys with the newest wrapping key; what they encrypt stays.

    The keys of producers that this service keeps are among them.
    """
    newest = cipher.wrapping_ids[-1]
    count = 0
    for table in WRAPPED_TABLES:
        wrapped_rows = await tx.execute(
            sa.text(
                f"select ctid, id, suite, wrapped from {table}"  # noqa: S608 - constants
                " where wrapping_key <> :newest"
                " order by wrapping_key, id limit :limit for update"
            ),
            {"newest": newest, "limit": limit - count},
        )
        rows = [
            {
                "place": row.ctid,
                "wrapping_key": newest,
                "wrapped": cipher.wrap(cipher.unwrap(row.id, row.suite, bytes(row.wrapped)))[1],
            }
            for row in wrapped_rows
        ]
        if rows:
            await tx.execute(
                sa.text(
                    f"update {table} set wrapped = :wrapped,"  # noqa: S608 - constants
                    " wrapping_key = :wrapping_key where ctid = cast(:place as tid)"
                ),
                rows,
            )
        count += len(rows)
    counts = await count_by_wrapping_key(tx)
    return Rewrapped(count, sum(counts.values()) - counts.get(newest, 0))


async def count_by_wrapping_key(tx: Transaction) -> dict[str, int]:
    """How many data keys each wrapping key wraps, with the keys of producers."""
    both = " union all ".join(
        f"select wrapping_key from {table}"  # noqa: S608 - constants
        for table in WRAPPED_TABLES
    )
    rows = await tx.execute(
        sa.text(
            "select wrapping_key, count(*) as key_count"  # noqa: S608 - constants
            f" from ({both}) as wrapped group by wrapping_key order by wrapping_key"
        )
    )
    return {row.wrapping_key: row.key_count for row in rows}


async def count_clear_responses(tx: Transaction) -> int:
    """How many stored responses are not under a data key."""
    statement = sa.text(
        "select count(*) from command where not exists (select from data_key"
        " where convert_to(id, 'UTF8') = substr(response, :start, :length))"
    )
    place = {"start": HEADER_BYTES + 1, "length": 2 * ID_BYTES}
    return int((await tx.execute(statement, place)).scalar_one())


async def _keys_of(
    tx: Transaction, cipher: ColumnCipher, persons: Sequence[str]
) -> dict[str, DataKey]:
    """The data key of each person, made for those who have none."""
    person_of = {_index(cipher, person): person for person in persons}
    loaded = _loaded(tx)
    await _find(tx, cipher, loaded, person_of)
    missing = sorted(person_of.keys() - loaded.by_person.keys())
    if missing:
        await _insert(tx, cipher, missing)
        # Of two transactions that make a person's key at once, the second gets that of the first.
        await _find(tx, cipher, loaded, missing)
    return {person: loaded.by_person[index] for index, person in person_of.items()}


async def _find(
    tx: Transaction, cipher: ColumnCipher, loaded: _Loaded, indexes: Iterable[bytes]
) -> None:
    unread = sorted(set(indexes) - loaded.by_person.keys())
    if unread:
        rows = await tx.execute(
            sa.text(
                f"select {_COLUMNS} from data_key"  # noqa: S608 - constants
                " where person = any(:persons)"
            ),
            {"persons": unread},
        )
        _load(loaded, cipher, rows)


async def _insert(tx: Transaction, cipher: ColumnCipher, indexes: Iterable[bytes]) -> None:
    rows = []
    for index in indexes:
        key = DataKey.random()
        rows.append((key.id, index, *cipher.wrap(key)))
    ids, persons, wrapping_ids, wrapped = zip(*rows, strict=True)
    await tx.execute(
        sa.text(
            "insert into data_key (id, person, suite, wrapping_key, wrapped)"
            " select id, person, :suite, wrapping_key, wrapped"
            " from unnest(cast(:ids as text[]), cast(:persons as bytea[]),"
            "  cast(:wrapping_ids as text[]), cast(:wrapped as bytea[]))"
            "  as fresh (id, person, wrapping_key, wrapped)"
            " on conflict (person) do nothing"
        ),
        {
            "ids": list(ids),
            "persons": list(persons),
            "wrapping_ids": list(wrapping_ids),
            "wrapped": list(wrapped),
            "suite": NEWEST_SUITE.number,
        },
    )


@dataclass(frozen=True)
class _Loaded:
    """The data keys that a transaction has read, by id and by the index of the person."""

    by_id: dict[str, DataKey] = field(default_factory=dict)
    by_person: dict[bytes, DataKey] = field(default_factory=dict)


_loaded_by: WeakKeyDictionary[Transaction, _Loaded] = WeakKeyDictionary()


def _loaded(tx: Transaction) -> _Loaded:
    return _loaded_by.setdefault(tx, _Loaded())


def _load(loaded: _Loaded, cipher: ColumnCipher, rows: Iterable[sa.Row[Any]]) -> None:
    for row in rows:
        key = _data_key(cipher, row)
        loaded.by_id[key.id] = key
        loaded.by_person[bytes(row.person)] = key


def _data_key(cipher: ColumnCipher, row: sa.Row[Any]) -> DataKey:
    return cipher.unwrap(row.id, row.suite, bytes(row.wrapped))


def _index(cipher: ColumnCipher, person: str) -> bytes:
    return cipher.blind_index(f"data key:{person}")


def _key_id(value: bytes) -> str:
    """The id of the data key of an encrypted value; empty for other bytes."""
    try:
        key_id = key_id_of(value)
    except DecryptionError:
        return ""
    return key_id if _DATA_KEY_ID.fullmatch(key_id) else ""
