"""The suites of algorithms that encrypt values and wrap keys.

A value names its suite, and so does the row of a data key. A second suite is a further row of
`SUITES`: new keys are of the suite with the highest number, and what is under older ones stays
readable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class Aead(Protocol):
    """Authenticated encryption with one key; the shape of the classes of `cryptography`."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        """The ciphertext with its tag."""

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        """The content; raises InvalidTag."""


@dataclass(frozen=True)
class Suite:
    """A suite of algorithms by the number in each value. All have a nonce of 12 bytes."""

    number: int
    name: str
    key_bytes: int
    aead: Callable[[bytes], Aead]


AES_256_GCM = Suite(1, "AES-256-GCM", 32, AESGCM)
SUITES: dict[int, Suite] = {suite.number: suite for suite in (AES_256_GCM,)}


def newest_suite() -> Suite:
    """The suite of new keys: the one with the highest number."""
    return SUITES[max(SUITES)]
