"""The key that signs the heads of the logs, from the content of its file.

The file is PEM: the private Ed25519 key, then the public keys that signed before it, if any. A log
continues under a new key this way and its older heads remain valid.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from services.orderlog import notes

# Below the state folder of a development deployment, which makes its own key: the private key,
# and the verifier key for auditors.
KEY_FILE = "keys/order-log.pem"
VERIFIER_FILE = "keys/order-log.vkey"
_PUBLIC = re.compile(rb"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)


class LogKeyError(RuntimeError):
    """The key that signs the logs is missing or unusable."""


@dataclass(frozen=True)
class Signer:
    """Signs heads under a key's name, and opens those signed with it or an earlier key."""

    province: str
    key: Ed25519PrivateKey
    earlier: tuple[Ed25519PublicKey, ...] = ()

    def sign(self, platform: str, size: int, root: bytes) -> str:
        """The signed note of a platform's log."""
        head = notes.Head(notes.origin(self.province, platform), size, root)
        return notes.sign(head, notes.key_name(self.province), self.key)

    def opens(self, note: str, platform: str, size: int, root: bytes) -> bool:
        """Whether a note is the signed head of this size and root of the platform's log."""
        head = notes.Head(notes.origin(self.province, platform), size, root)
        for verifier in self.verifier_keys:
            try:
                return notes.open_note(note, verifier) == head
            except ValueError:
                continue
        return False

    @property
    def verifier_key(self) -> str:
        """The key that auditors check notes with; hand it out through a separate channel."""
        return self.verifier_keys[0]

    @property
    def verifier_keys(self) -> list[str]:
        """The verifier key, then those of earlier keys."""
        keys = (self.key.public_key(), *self.earlier)
        return [notes.verifier_key(notes.key_name(self.province), key) for key in keys]


def parse_signer(content: bytes, province: str) -> Signer:
    """The signer whose key is in the content of a PEM file. Raises LogKeyError."""
    try:
        key = serialization.load_pem_private_key(content, password=None)
        earlier = [serialization.load_pem_public_key(pem) for pem in _PUBLIC.findall(content)]
    except (ValueError, TypeError) as error:
        raise LogKeyError("is not a PEM file with a private key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise LogKeyError("holds a key that is not Ed25519")
    return Signer(province, key, tuple(key for key in earlier if isinstance(key, Ed25519PublicKey)))


def new_key() -> bytes:
    """A new private key as PEM."""
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
