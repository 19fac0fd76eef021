"""Personal fields of events: sealed under the person's data key, and opened by consumers.

A field with the option `oip.type.v1.personal` never travels in the clear. The fields of a message
are moved into its field `sealed`, as a message of the same type that is encrypted, so that opening
is merging. Hash and signature of an event are over the ciphertext.
"""

from __future__ import annotations

from functools import cache
from typing import TypeVar

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError, Message
from oip.type.v1 import type_pb2

from services.runtime.storage.crypto import ColumnCipher, key_id_of

M = TypeVar("M", bound=Message)

SEALED = "sealed"


class InTheClearError(ValueError):
    """An event would be published with personal fields in the clear."""

    def __init__(self, message: Message) -> None:
        name = message.DESCRIPTOR.full_name
        super().__init__(f"{name} has personal fields in the clear; use personal_fields.seal")


@cache
def names_of(event: Descriptor) -> tuple[str, ...]:
    """The fields of an event that are sealed."""
    option = type_pb2.personal
    return tuple(field.name for field in event.fields if field.GetOptions().Extensions[option])


@cache
def consumers_of(producer: str) -> frozenset[str]:
    """The services that a producer's events with personal fields name as their consumers."""
    pool, path = descriptor_pool.Default(), f"oip/{producer}/v1/events.proto"
    try:
        events = pool.FindFileByName(path).message_types_by_name.values()
    except KeyError:
        return frozenset()
    option = type_pb2.consumers
    return frozenset(
        name
        for event in events
        if names_of(event)
        for name in event.GetOptions().Extensions[option]
    )


def seal(cipher: ColumnCipher, message: M) -> M:
    """The message with its personal fields sealed; `cipher` is that of the person."""
    names = names_of(message.DESCRIPTOR)
    sealed, personal = type(message)(), type(message)()
    sealed.CopyFrom(message)
    personal.CopyFrom(message)
    for field in message.DESCRIPTOR.fields:
        (sealed if field.name in names else personal).ClearField(field.name)
    content = personal.SerializeToString(deterministic=True)
    value = cipher.seal_repeatably(content, _context(message))
    parts = type_pb2.Sealed(
        key=key_id_of(value),
        content=value,
        digest=cipher.blind_index(f"{_context(message)}/{content.hex()}"),
    )
    getattr(sealed, SEALED).CopyFrom(parts)
    return sealed


def require_sealed(message: Message) -> None:
    """Raise InTheClearError for a message with personal fields in the clear."""
    set_fields = {field.name for field, _ in message.ListFields()}
    if not set_fields.isdisjoint(names_of(message.DESCRIPTOR)):
        raise InTheClearError(message)


def key_of(message: Message) -> str:
    """The id of the data key of a message; empty if nothing of it is sealed."""
    if not names_of(message.DESCRIPTOR):
        return ""
    return str(getattr(message, SEALED).key)


def open_sealed(cipher: ColumnCipher, message: M) -> M:
    """The message with its personal fields; raises DecryptionError."""
    opened = type(message)()
    opened.CopyFrom(message)
    parts: type_pb2.Sealed = getattr(opened, SEALED)
    content = cipher.open(parts.content, _context(message))
    opened.ClearField(SEALED)
    opened.MergeFrom(type(message).FromString(content))
    return opened


def is_same(message: Message, payload: bytes | None) -> bool:
    """Whether a sealed message is a stored event that was sealed under another key."""
    if payload is None or not key_of(message):
        return False
    try:
        other = type(message).FromString(payload)
    except DecodeError:
        return False
    return _comparable(message) == _comparable(other)


def _comparable(message: Message) -> Message:
    """A message without key and ciphertext; the digest stands for what is sealed."""
    plain = type(message)()
    plain.CopyFrom(message)
    parts: type_pb2.Sealed = getattr(plain, SEALED)
    parts.ClearField("key")
    parts.ClearField("content")
    return plain


def _context(message: Message) -> str:
    return f"event/{message.DESCRIPTOR.full_name}"
