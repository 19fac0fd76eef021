"""The keys that sign events: a private one for each producer, public ones for every consumer.

Public keys are files `{producer}.pub` in one folder, a key a line (base64 of 32 bytes), so that a
new key is added before it signs and an old one stays while its events are read.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from services.runtime.base.refusals import StartRefusedError
from services.runtime.base.secret_files import write_once
from services.runtime.events.envelope import Envelope, signed_text

KEY_ID_LENGTH = 16
PUBLIC_KEY_BYTES = 32


class EventKeyError(StartRefusedError):
    """A key file of events is missing or unusable."""


class NotAuthenticError(RuntimeError):
    """An event does not carry the signature of its producer; `reason` says what is wrong."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class EventSigner:
    """Signs the events of one producer."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public_key = key.public_key().public_bytes_raw()
        self.key_id = key_id_of(self.public_key)

    def sign(self, envelope: Envelope) -> Envelope:
        """The event with the key's id and the signature."""
        return replace(envelope, key_id=self.key_id, signature=self._key.sign(envelope.signed_text))

    def sign_hash(
        self, producer: str, epoch: str, pub_seq: int, content_hash: bytes
    ) -> tuple[str, bytes]:
        """Key id and signature of an event of which only the hash is known."""
        signed = signed_text(producer, epoch, pub_seq, content_hash)
        return self.key_id, self._key.sign(signed)


class EventTrust:
    """Checks signatures by the public keys of each producer.

    `load` gives the keys; it is called again for an unknown key, which may have been added since.
    """

    def __init__(self, load: Callable[[], Mapping[str, list[bytes]]]) -> None:
        self._load = load
        self._keys: dict[tuple[str, str], Ed25519PublicKey] = {}

    def require_authentic(self, envelope: Envelope) -> None:
        """Raise NotAuthenticError unless the producer itself signed the event."""
        key = self._key(envelope.producer, envelope.key_id)
        if key is None:
            raise NotAuthenticError("UNKNOWN_KEY")
        try:
            key.verify(envelope.signature, envelope.signed_text)
        except InvalidSignature:
            raise NotAuthenticError("BAD_SIGNATURE") from None

    def _key(self, producer: str, key_id: str) -> Ed25519PublicKey | None:
        if (producer, key_id) not in self._keys:
            self._keys = {
                (name, key_id_of(public)): Ed25519PublicKey.from_public_bytes(public)
                for name, keys in self._load().items()
                for public in keys
            }
        return self._keys.get((producer, key_id))


def key_id_of(public_key: bytes) -> str:
    """The id of a key: the start of its SHA-256, as hexadecimal digits."""
    return sha256(public_key).hexdigest()[:KEY_ID_LENGTH]


def load_signer(path: Path) -> EventSigner:
    """The signer whose private key (PEM, Ed25519) is in a file. Raises EventKeyError."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise EventKeyError(
            f"the key that signs events cannot be read at {path}; set OIP_EVENT_KEY_FILE to a PEM "
            "file made as deploy/README.md describes"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise EventKeyError(f"the key that signs events at {path} is not an Ed25519 key")
    return EventSigner(key)


def load_or_make_signer(path: Path, producer: str, trust_dir: Path) -> EventSigner:
    """The same in development: makes the key (mode 0600), and publishes the public one."""
    if not path.exists():
        content = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        write_once(path, content)
    signer = load_signer(path)
    write_once(trust_dir / f"{producer}.pub", base64.b64encode(signer.public_key) + b"\n")
    return signer


def trust_of(folder: Path) -> EventTrust:
    """Trust in the public keys of a folder."""
    return EventTrust(lambda: read_public_keys(folder))


def read_public_keys(folder: Path) -> dict[str, list[bytes]]:
    """The public keys of a folder by producer. Raises EventKeyError for a file it cannot read."""
    return {path.stem: _public_keys(path) for path in sorted(folder.glob("*.pub"))}


def _public_keys(path: Path) -> list[bytes]:
    try:
        keys = [base64.b64decode(line, validate=True) for line in path.read_bytes().split() if line]
    except (OSError, binascii.Error) as error:
        raise EventKeyError(f"{path} holds no public keys, a line of base64 each") from error
    if any(len(key) != PUBLIC_KEY_BYTES for key in keys):
        raise EventKeyError(f"{path} holds a key that is not {PUBLIC_KEY_BYTES} bytes long")
    return keys
