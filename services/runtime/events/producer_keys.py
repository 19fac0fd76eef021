"""The data keys of producers whose events a service consumes: fetched once, kept wrapped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import text

from services.runtime.storage.crypto import ColumnCipher, DataKey
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


async def find_missing(tx: Transaction, keys: Iterable[ProducerKey]) -> list[ProducerKey]:
    """Those of the keys that were not fetched yet."""
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


async def find(tx: Transaction, cipher: ColumnCipher, key: ProducerKey) -> DataKey:
    """A key of a producer; raises KeyNotSharedError."""
    rows = await tx.execute(
        text("select suite, wrapped from producer_key where producer = :producer and id = :id"),
        {"producer": key.producer, "id": key.id},
    )
    row = rows.one_or_none()
    if row is None:
        raise KeyNotSharedError(key.producer, key.id)
    return cipher.unwrap(key.id, row.suite, bytes(row.wrapped))


def by_producer(keys: Iterable[ProducerKey]) -> Mapping[str, list[str]]:
    """The ids of keys by producer."""
    ids: dict[str, list[str]] = {}
    for key in keys:
        ids.setdefault(key.producer, []).append(key.id)
    return ids
