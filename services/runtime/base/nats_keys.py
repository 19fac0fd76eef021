"""The key with which a process proves to NATS who it is: an nkey, kept as an Ed25519 key in PEM.

NATS stores the public key alone and has the client sign a nonce. A key is never used for anything
else: signing an event with it would let a server obtain signatures of its choice.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.runtime.base.refusals import StartRefusedError
from services.runtime.base.secret_files import write_once

# "U" as the first letter of the public key of a user.
USER_PREFIX = bytes([20 << 3])


class NatsKeyError(StartRefusedError):
    """The key of a NATS user is missing, unusable, or refused by the server."""


class NatsKey:
    """The key of one NATS user; `public` is what the server's configuration holds."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        body = USER_PREFIX + key.public_key().public_bytes_raw()
        checksum = binascii.crc_hqx(body, 0).to_bytes(2, "little")
        self.public = base64.b32encode(body + checksum).decode().rstrip("=")

    def sign(self, nonce: str) -> bytes:
        """The signature of the server's nonce, in base64."""
        return base64.b64encode(self._key.sign(nonce.encode()))


def load_key(path: Path) -> NatsKey:
    """The key in a PEM file. Raises NatsKeyError."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise NatsKeyError(
            f"the NATS key cannot be read at {path}; set OIP_NATS_KEY_FILE to a PEM file made as "
            "deploy/README.md describes"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise NatsKeyError(f"the NATS key at {path} is not an Ed25519 key")
    return NatsKey(key)


def load_or_make_key(path: Path) -> NatsKey:
    """The same in development, where a missing key is made (mode 0600)."""
    if not path.exists():
        content = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        write_once(path, content)
    return load_key(path)
