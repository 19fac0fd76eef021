"""The data keys of a service: one for each person whose data it holds, and one of its own.

A command encrypts what it stores about a person under `of_person`; a store reads rows with
`for_rows`, which loads the keys that their values name. Keys are read in each transaction and not
kept after it. Who encrypts holds the row of the key until the transaction ends, so that a key that
is in use is not destroyed meanwhile.
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

from services.kernel.problems import Kind, Problem
from services.runtime.storage.crypto import (
    HEADER_BYTES,
    ID_BYTES,
    ColumnCipher,
    DataKey,
    DataKeyErased,
    DecryptionError,
    key_id_of,
)
from services.runtime.storage.database import Database, Transaction

# The person by which the key of the service itself is stored.
SERVICE = ""

# Where wrapped keys are: those of this service, and those of producers.
WRAPPED_TABLES = ("data_key", "producer_key")


class PersonErased(Problem):
    """The personal data of a person were erased."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "PERSON_ERASED"
    message = (
        "The personal data of {person} were erased, so that nothing more can be stored about this"
        " person; register the person anew if there is a new ground."
    )
    message_zh = "{person} 的个人信息已删除, 不能再记录其信息; 如有新的依据, 请重新登记。"


_DATA_KEY_ID = re.compile(rf"[0-9a-f]{{{2 * ID_BYTES}}}")
_COLUMNS = "id, person, suite, wrapped"
_noted: ContextVar[set[str] | None] = ContextVar("persons", default=None)


async def open_service_key(database: Database, cipher: ColumnCipher) -> None:
    """Let a process encrypt under the key of its service, made at the first start."""
    async with database.begin() as tx:
        cipher.adopt((await _keys_of(tx, cipher, [SERVICE]))[SERVICE])


async def of_person(tx: Transaction, cipher: ColumnCipher, person: str) -> ColumnCipher:
    """The cipher under a person's data key, made at the first use; `person` is a resource name.

    Without a person, the cipher as it is. Raises PersonErased.
    """
    return (await of_persons(tx, cipher, [person]))[person] if person else cipher


async def of_persons(
    tx: Transaction, cipher: ColumnCipher, persons: Iterable[str]
) -> Mapping[str, ColumnCipher]:
    """The cipher under the data key of each person; raises PersonErased."""
    keys = await _keys_of(tx, cipher, sorted(set(persons)))
    noted = _noted.get()
    if noted is not None:
        noted.update(keys)
    return {person: cipher.under(key) for person, key in keys.items()}


async def for_rows(
    tx: Transaction, cipher: ColumnCipher, rows: Iterable[Sequence[Any]]
) -> ColumnCipher:
    """A cipher that knows the data keys of all encrypted values in these rows.

    It knows also which of them were destroyed, see `ColumnCipher.show`.
    """
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
    unread = sorted(missing - loaded.by_id.keys() - loaded.destroyed)
    if unread:
        stored = await tx.execute(
            sa.text(f"select {_COLUMNS} from data_key where id = any(:ids)"),  # noqa: S608 - constants
            {"ids": unread},
        )
        _load(loaded, cipher, stored)
    known = [loaded.by_id[key_id] for key_id in missing if key_id in loaded.by_id]
    return cipher.knowing(known, missing & loaded.destroyed)


async def list_of_persons(
    tx: Transaction, cipher: ColumnCipher, key_ids: Iterable[str]
) -> list[DataKey]:
    """The data keys with these ids, without that of the service; raises DataKeyErased."""
    rows = await tx.execute(
        sa.text(
            f"select {_COLUMNS} from data_key"  # noqa: S608 - constants
            " where id = any(:ids) and person <> :service order by id"
        ),
        {"ids": list(key_ids), "service": index_of(cipher, SERVICE)},
    )
    stored = rows.all()
    if destroyed := [row.id for row in stored if row.wrapped is None]:
        raise DataKeyErased(keys=tuple(destroyed))
    return [_data_key(cipher, row) for row in stored]


@dataclass(frozen=True)
class LockedKey:
    """A data key under which nobody encrypts; `is_new` if nothing was ever under it."""

    id: str
    is_new: bool


async def lock_key(tx: Transaction, cipher: ColumnCipher, person: str) -> LockedKey:
    """A person's data key, made if there is none, once nobody encrypts under it."""
    index = index_of(cipher, person)
    made_ids = await _insert(tx, cipher, [index])
    locking = sa.text("select id from data_key where person = :person for update")
    key_id = str((await tx.execute(locking, {"person": index})).scalar_one())
    return LockedKey(key_id, key_id in made_ids)


async def destroy(tx: Transaction, key: LockedKey) -> None:
    """Destroy a data key that is locked: what is under it stays and is unreadable.

    One under which nothing ever was has no suite: nobody else can have a copy.
    """
    statement = sa.text(
        "update data_key set wrapped = null, wrapping_key = null,"
        " suite = case when :is_new then 0 else suite end"
        " where id = :id and wrapped is not null"
    )
    await tx.execute(statement, {"id": key.id, "is_new": key.is_new})
    _loaded_by.pop(tx, None)


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
                # Those who encrypt under a key need not wait for its wrapping.
                " order by wrapping_key, id limit :limit for no key update"
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
        f"select wrapping_key from {table} where wrapped is not null"  # noqa: S608 - constants
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
    """The data key of each person, made for those who have none; raises PersonErased."""
    person_of = {index_of(cipher, person): person for person in persons}
    loaded = _loaded(tx)
    await _find(tx, cipher, loaded, person_of)
    missing = sorted(person_of.keys() - loaded.by_person.keys() - loaded.erased_persons)
    if missing:
        await _insert(tx, cipher, missing)
        # Of two transactions that make a person's key at once, the second gets that of the first.
        await _find(tx, cipher, loaded, missing)
    if erased := sorted(person_of.keys() & loaded.erased_persons):
        raise PersonErased(person=person_of[erased[0]])
    return {person: loaded.by_person[index] for index, person in person_of.items()}


async def _find(
    tx: Transaction, cipher: ColumnCipher, loaded: _Loaded, indexes: Iterable[bytes]
) -> None:
    """Load the keys of persons and hold their rows; not that of the service, which all use."""
    unread = sorted(set(indexes) - loaded.locked_persons)
    if unread:
        service = index_of(cipher, SERVICE)
        rows = await tx.execute(
            sa.text(
                f"select {_COLUMNS} from data_key"  # noqa: S608 - constants
                " where person = any(:persons)"
                f"{'' if unread == [service] else ' for key share'}"
            ),
            {"persons": unread},
        )
        _load(loaded, cipher, rows, locks=True)


async def _insert(
    tx: Transaction, cipher: ColumnCipher, indexes: Iterable[bytes]
) -> frozenset[str]:
    """Make the keys of persons who have none; the ids of those that were made."""
    rows = []
    for index in indexes:
        key = DataKey.random()
        rows.append((key.id, index, *cipher.wrap(key)))
    ids, persons, wrapping_ids, wrapped = zip(*rows, strict=True)
    inserted = await tx.execute(
        sa.text(
            "insert into data_key (id, person, suite, wrapping_key, wrapped)"
            " select id, person, :suite, wrapping_key, wrapped"
            " from unnest(cast(:ids as text[]), cast(:persons as bytea[]),"
            "  cast(:wrapping_ids as text[]), cast(:wrapped as bytea[]))"
            "  as fresh (id, person, wrapping_key, wrapped)"
            " on conflict (person) do nothing returning id"
        ),
        {
            "ids": list(ids),
            "persons": list(persons),
            "wrapping_ids": list(wrapping_ids),
            "wrapped": list(wrapped),
            "suite": key.suite.number,
        },
    )
    return frozenset(inserted.scalars())


@dataclass(frozen=True)
class _Loaded:
    """The data keys that a transaction has read, by id and by the index of the person."""

    by_id: dict[str, DataKey] = field(default_factory=dict)
    by_person: dict[bytes, DataKey] = field(default_factory=dict)
    # The ids of keys that were destroyed, and their persons.
    destroyed: set[str] = field(default_factory=set)
    erased_persons: set[bytes] = field(default_factory=set)
    # The persons whose rows this transaction has locked.
    locked_persons: set[bytes] = field(default_factory=set)


_loaded_by: WeakKeyDictionary[Transaction, _Loaded] = WeakKeyDictionary()


def _loaded(tx: Transaction) -> _Loaded:
    return _loaded_by.setdefault(tx, _Loaded())


def _load(
    loaded: _Loaded, cipher: ColumnCipher, rows: Iterable[sa.Row[Any]], *, locks: bool = False
) -> None:
    for row in rows:
        person = bytes(row.person)
        if locks:
            loaded.locked_persons.add(person)
        if row.wrapped is None:
            loaded.destroyed.add(row.id)
            loaded.erased_persons.add(person)
            continue
        key = _data_key(cipher, row)
        loaded.by_id[key.id] = key
        loaded.by_person[person] = key


def _data_key(cipher: ColumnCipher, row: sa.Row[Any]) -> DataKey:
    return cipher.unwrap(row.id, row.suite, bytes(row.wrapped))


def index_of(cipher: ColumnCipher, person: str) -> bytes:
    """The keyed hash by which a person's rows are stored."""
    return cipher.blind_index(f"data key:{person}")


def _key_id(value: bytes) -> str:
    """The id of the data key of an encrypted value; empty for other bytes."""
    try:
        key_id = key_id_of(value)
    except DecryptionError:
        return ""
    return key_id if _DATA_KEY_ID.fullmatch(key_id) else ""
