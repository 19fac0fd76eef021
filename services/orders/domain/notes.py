"""Signed heads of a log, as C2SP checkpoints: https://c2sp.org/tlog-checkpoint, signed-note.

A note is the log's origin, its size and its root in base64, a line each; then an empty line and the
signature: an em dash, the key's name, and base64 of the key's id (4 bytes) and the signature.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

ED25519 = b"\x01"
KEY_ID_BYTES = 4


@dataclass(frozen=True)
class Head:
    """What a checkpoint says."""

    origin: str
    size: int
    root: bytes


def origin(province: str, platform: str) -> str:
    """The name of a platform's log."""
    return f"oip/{province}/orders/{platform}"


def key_name(province: str) -> str:
    """The name of the key that signs a province's logs."""
    return f"oip/{province}/orders"


def sign(head: Head, name: str, key: Ed25519PrivateKey) -> str:
    """The signed note of a head."""
    text = f"{head.origin}\n{head.size}\n{_base64(head.root)}\n"
    signature = key.sign(text.encode())
    marked = _base64(_key_id(name, key.public_key()) + signature)
    return f"{text}\n— {name} {marked}\n"


def verifier_key(name: str, key: Ed25519PublicKey) -> str:
    """The public key as C2SP tools take it: name, id, and the key in base64."""
    return f"{name}+{_key_id(name, key).hex()}+{_base64(ED25519 + key.public_bytes_raw())}"


def open_note(note: str, verifier: str) -> Head:
    """The head in a note signed by this verifier key; raises ValueError if it does not hold."""
    name, _, rest = verifier.partition("+")
    _, _, packed = rest.partition("+")
    public = base64.b64decode(packed, validate=True)
    if public[:1] != ED25519:
        raise ValueError("the verifier key is not Ed25519")
    key = Ed25519PublicKey.from_public_bytes(public[1:])
    text, divider, signatures = note.partition("\n\n")
    for line in signatures.splitlines() if divider else ():
        dash, _, signed = line.partition(" ")
        signer, _, marked = signed.partition(" ")
        if dash != "—" or signer != name:
            continue
        content = base64.b64decode(marked, validate=True)
        if content[:KEY_ID_BYTES] != _key_id(name, key):
            continue
        try:
            key.verify(content[KEY_ID_BYTES:], f"{text}\n".encode())
        except InvalidSignature:
            raise ValueError("the signature of the checkpoint does not hold") from None
        named, size, root = text.split("\n")
        return Head(named, int(size), base64.b64decode(root, validate=True))
    raise ValueError(f"the checkpoint has no signature of {name}")


def _key_id(name: str, key: Ed25519PublicKey) -> bytes:
    return sha256(name.encode() + b"\n" + ED25519 + key.public_bytes_raw()).digest()[:KEY_ID_BYTES]


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
