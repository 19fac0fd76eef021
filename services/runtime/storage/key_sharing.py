"""How a producer gives a data key to a consumer: wrapped with a key that only the two can compute.

Each call has fresh X25519 keys on both sides, so that a recorded answer cannot be opened later.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

PUBLIC_KEY_BYTES = 32
WRAPPING_BYTES = 32


class Exchange:
    """One side of an exchange: a fresh key pair."""

    def __init__(self) -> None:
        self._private = X25519PrivateKey.generate()
        self.public_key = self._private.public_key().public_bytes_raw()

    def wrapping_key(self, other_public_key: bytes, *, consumer_public_key: bytes) -> bytes:
        """The key that both sides compute; raises ValueError for an unusable public key."""
        shared = self._private.exchange(X25519PublicKey.from_public_bytes(other_public_key))
        info = b"oip data key 1" + consumer_public_key
        return HKDF(SHA256(), WRAPPING_BYTES, salt=None, info=info).derive(shared)
