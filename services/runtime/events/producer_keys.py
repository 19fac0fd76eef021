"""The data keys of producers whose events a service consumes: fetched once, kept wrapped.

A copy is dropped when its producer says that the key was erased. The row stays without the key, so
that an event that comes later is not asked for again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import text

from services.runtime.storage.crypto import ColumnCipher, DataKey, DataKeyErased
from services.runtime.storage.database import Transaction


class KeyNotSharedError(RuntimeError):
    """The producer of an event does not know the data key that the event names."""

    def __init__(self, producer: str, key_id: str) -> None:
        super().__init__(f"{producer} does not share the data key {key_id}")


@dataclass(frozen=True)
class ProducerKey:
    """A data key by producer and id."""

    producer: str
    id: str


@dataclass(frozen=True)
class SharedKeys:
    """The answer of a producer: keys, and the ids of those that it has destroyed.

    Keys that it does not know are missing.
    """

    keys: Sequence[DataKey] = ()
    erased: Sequence[str] = ()


async def find_missing(tx: Transaction, keys: Iterable[ProducerKey]) -> list[ProducerKey]:
    """Those of the keys that were neither fetched nor erased yet."""
    unique = sorted({(key.producer, key.id) for key in keys})
    rows = await tx.execute(
        text(
            "select producer, id from unnest(cast(:producers as text[]), cast(:ids as text[]))"
            " as named (producer, id) where not exists (select from producer_key"
            "  where producer_key.producer = named.producer and producer_key.id = named.id)"
            " order by producer, id"
        ),
        {"producers": [producer for producer, _ in unique], "ids": [key for _, key in unique]},
    )
    return [ProducerKey(row.producer, row.id) for row in rows]


async def insert(
    tx: Transaction, cipher: ColumnCipher, producer: str, keys: Iterable[DataKey]
) -> None:
    """Keep keys of a producer, wrapped with the key file of this service."""
    rows = []
    for key in keys:
        wrapping_key, wrapped = cipher.wrap(key)
        rows.append(
            {
                "producer": producer,
                "id": key.id,
                "suite": key.suite.number,
                "wrapped": wrapped,
                "wrapping_key": wrapping_key,
            }
        )
    if rows:
        await tx.execute(
            text(
                "insert into producer_key (producer, id, suite, wrapped, wrapping_key)"
                " values (:producer, :id, :suite, :wrapped, :wrapping_key) on conflict do nothing"
            ),
            rows,
        )


async def drop(tx: Transaction, producer: str, key_ids: Iterable[str]) -> None:
    """Drop the copies of keys that their producer has destroyed, also of keys not fetched yet."""
    await tx.execute(
        text(
            "insert into producer_key (producer, id, suite)"
            " select :producer, id, 0 from unnest(cast(:ids as text[])) as erased (id)"
            " on conflict (producer, id) do update set wrapped = null, wrapping_key = null"
            " where producer_key.wrapped is not null"
        ),
        {"producer": producer, "ids": sorted(set(key_ids))},
    )


async def find(tx: Transaction, cipher: ColumnCipher, key: ProducerKey) -> DataKey:
    """A key of a producer; raises KeyNotSharedError or DataKeyErased."""
    rows = await tx.execute(
        text("select suite, wrapped from producer_key where producer = :producer and id = :id"),
        {"producer": key.producer, "id": key.id},
    )
    row = rows.one_or_none()
    if row is None:
        raise KeyNotSharedError(key.producer, key.id)
    if row.wrapped is None:
        raise DataKeyErased(keys=key.id)
    return cipher.unwrap(key.id, row.suite, bytes(row.wrapped))


def by_producer(keys: Iterable[ProducerKey]) -> Mapping[str, list[str]]:
    """The ids of keys by producer."""
    ids: dict[str, list[str]] = {}
    for key in keys:
        ids.setdefault(key.producer, []).append(key.id)
    return ids
