"""Two minimal services: `toy` rings bells, `echo` counts the rings.

`drum` is a producer of which only events are known.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message
from sqlalchemy import text

from services.kernel.problems import NotFound
from services.runtime.events import outbox
from services.runtime.events.envelope import Envelope
from services.runtime.events.event_keys import EventSigner, EventTrust
from services.runtime.events.listener import Replay
from services.runtime.events.producer_keys import SharedKeys
from services.runtime.events.receiver import Handlers
from services.runtime.storage.crypto import ColumnCipher, DataKey
from services.runtime.storage.database import Database, Transaction
from services.runtime.storage.key_file import Keys

FIELD = descriptor_pb2.FieldDescriptorProto


def _messages(producer: str) -> dict[str, type[Message]]:
    file = descriptor_pb2.FileDescriptorProto(
        name=f"oip/{producer}/v1/events.proto", package=f"oip.{producer}.v1", syntax="proto3"
    )
    for name in ("BellRang", "BellTuned"):
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(
            (("name", FIELD.TYPE_STRING), ("revision", FIELD.TYPE_INT64)), start=1
        ):
            message.field.add(name=field, number=number, type=kind, label=FIELD.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"oip.{producer}.v1.{name}")
        )
        for name in ("BellRang", "BellTuned")
    }


MESSAGES: dict[str, Any] = dict(_messages("toy"))
BellRang = MESSAGES["BellRang"]
BellTuned = MESSAGES["BellTuned"]
DrumRang: Any = _messages("drum")["BellRang"]


CIPHER = ColumnCipher(Keys({"toy": bytes(32)}, "toy", bytes(32)), DataKey.random())


async def share_nothing(_producer: str, _key_ids: Sequence[str]) -> SharedKeys:
    """The events of toys name no data keys."""
    return SharedKeys()


async def ring(tx: Transaction, name: str, now: datetime) -> int:
    """Ring a bell once more and publish it; how often it has rung."""
    result = await tx.execute(
        text(
            "insert into bell (name, platform, rings) values (:name, 'P', 1)"
            " on conflict (name) do update set rings = bell.rings + 1 returning rings"
        ),
        {"name": name},
    )
    rings = int(result.scalar_one())
    await outbox.add(tx, BellRang(name=name, revision=rings), now)
    return rings


async def on_bell_rang(tx: Transaction, event: Any, _context: object) -> None:
    """Count a ring. The bell `poison` always fails, the bell `shy` unless TOY_BRAVE is set."""
    if event.name == "poison":
        raise ZeroDivisionError
    if event.name == "shy" and not os.environ.get("TOY_BRAVE"):
        raise NotFound(name="bells/shy")
    await tx.execute(
        text(
            "insert into echo (name, count, newest_revision) values (:name, 1, :revision)"
            " on conflict (name) do update set count = echo.count + 1,"
            " newest_revision = greatest(echo.newest_revision, excluded.newest_revision)"
        ),
        {"name": event.name, "revision": event.revision},
    )


HANDLERS: Handlers = {BellRang: on_bell_rang}
BOTH_HANDLERS: Handlers = {**HANDLERS, DrumRang: on_bell_rang}


def signer_of(producer: str) -> EventSigner:
    """The same signer for a producer in every process."""
    return EventSigner(Ed25519PrivateKey.from_private_bytes(producer.encode().ljust(32)))


SIGNER = signer_of("toy")
PUBLIC_KEYS = {name: [signer_of(name).public_key] for name in ("toy", "drum")}
TRUST = EventTrust(lambda: PUBLIC_KEYS)


def rang(
    pub_seq: int, name: str = "a", *, producer: str = "toy", epoch: str = "e", revision: int = 1
) -> Envelope:
    """A ring as its producer signs and publishes it."""
    payload = BellRang(name=name, revision=revision).SerializeToString(deterministic=True)
    subject = f"oip.{producer}.v1.BellRang"
    return signer_of(producer).sign(Envelope(producer, epoch, pub_seq, subject, payload))


def replay_from(database: Database) -> Replay:
    """What the toy's own Replay answers."""

    async def replay(producer: str, epoch: str, from_seq: int) -> AsyncGenerator[Envelope, None]:
        async with database.begin() as tx:
            envelopes = await outbox.read_from(tx, producer, epoch, from_seq)
        for envelope in envelopes:
            yield envelope

    return replay


def replay_of(*published: Envelope) -> Replay:
    """What the Replay of producers answers that have published exactly these events."""

    async def replay(producer: str, epoch: str, from_seq: int) -> AsyncGenerator[Envelope, None]:
        for envelope in published:
            is_later = envelope.epoch != epoch or envelope.pub_seq >= from_seq
            if envelope.producer == producer and is_later:
                yield envelope

    return replay


async def rings(database: Database) -> dict[str, int]:
    """How often each bell was rung."""
    async with database.begin() as tx:
        rows = await tx.execute(text("select name, rings from bell"))
        return {row.name: row.rings for row in rows}


async def echoes(database: Database) -> dict[str, int]:
    """How many rings of each bell were counted."""
    async with database.begin() as tx:
        rows = await tx.execute(text("select name, count as ring_count from echo"))
        return {row.name: row.ring_count for row in rows}
