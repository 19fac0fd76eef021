"""An event in transit: its message and its place in the producer's sequence."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

Number: TypeAlias = tuple[str, str, int]


@dataclass(frozen=True)
class Envelope:
    """One event of one producer.

    `pub_seq` is dense from 1 within an epoch, in commit order. `subject` is the full name of the
    event's message, `payload` its bytes as they travel: where contents are encrypted, ciphertext.
    `signature` is the producer's, made with the key that `key_id` names (event_keys.py).
    """

    producer: str
    epoch: str
    pub_seq: int
    subject: str
    payload: bytes
    key_id: str = ""
    signature: bytes = b""
    # Of an event that takes no effect and whose content does not travel: the content hash.
    void_hash: bytes = b""

    @property
    def number(self) -> Number:
        """What identifies the event: a consumer applies one event under it."""
        return self.producer, self.epoch, self.pub_seq

    @property
    def message_id(self) -> str:
        """The id by which JetStream deduplicates."""
        return f"{self.producer}:{self.epoch}:{self.pub_seq}"

    @property
    def name(self) -> str:
        """`{producer}-{epoch}-{pub_seq}`: the name of the event for people."""
        return f"{self.producer}-{self.epoch}-{self.pub_seq}"

    @cached_property
    def content_hash(self) -> bytes:
        """SHA-256 of subject and payload; both sides of a delivery compare it."""
        if self.void_hash:
            return self.void_hash
        return hashlib.sha256(self.subject.encode() + b"\x00" + self.payload).digest()

    @property
    def signed_text(self) -> bytes:
        """What the producer signs: its name, the event's number and the hash of its content."""
        return signed_text(self.producer, self.epoch, self.pub_seq, self.content_hash)


def signed_text(producer: str, epoch: str, pub_seq: int, content_hash: bytes) -> bytes:
    """What a producer signs for an event with this number and content."""
    lines = ("oip event 1", producer, epoch, str(pub_seq), content_hash.hex())
    return "\n".join(lines).encode()


def next_fingerprint(before: bytes, content_hash: bytes) -> bytes:
    """The fingerprint of a sequence after one more event; FIRST_FINGERPRINT is that of none."""
    return hashlib.sha256(before + content_hash).digest()


FIRST_FINGERPRINT = bytes(32)


def producer_of(subject: str) -> str:
    """The producer of a subject: `claims` for `oip.claims.v1.ClaimDetermined`."""
    return subject.split(".")[1]


def stream_of(producer: str) -> str:
    """The JetStream stream of a producer: `CLAIMS`."""
    return producer.upper()


def subjects_of(producer: str) -> str:
    """The subjects of a producer's events: `oip.claims.v1.*`."""
    return f"oip.{producer}.v1.*"
