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
    signature = key.sign(_text(head).encode())
    return _note(head, name, _key_id(name, key.public_key()) + signature)


def verifier_key(name: str, key: Ed25519PublicKey) -> str:
    """The public key as C2SP tools take it: name, id, and the key in base64."""
    return f"{name}+{_key_id(name, key).hex()}+{_base64(ED25519 + key.public_bytes_raw())}"


def open_note(note: str, verifier: str) -> Head:
    """The head in a note signed by this verifier key; raises ValueError if it is not valid.

    The note says that and nothing else: a further line would be read as signed.
    """
    name, _, rest = verifier.partition("+")
    public = base64.b64decode(rest.partition("+")[2], validate=True)
    if public[:1] != ED25519:
        raise ValueError("the verifier key is not Ed25519")
    key = Ed25519PublicKey.from_public_bytes(public[1:])
    if verifier != verifier_key(name, key):
        raise ValueError("the id in the verifier key is not that of the key")
    text, _, line = note.partition("\n\n")
    mark = f"— {name} "
    marked = line.removeprefix(mark).removesuffix("\n") if line.startswith(mark) else ""
    signed = base64.b64decode(marked, validate=True)
    if signed[:KEY_ID_BYTES] != _key_id(name, key):
        raise ValueError(f"the checkpoint has no signature of {name}")
    try:
        key.verify(signed[KEY_ID_BYTES:], f"{text}\n".encode())
    except InvalidSignature:
        raise ValueError("the signature of the checkpoint is not valid") from None
    named, size, root = text.split("\n")
    head = Head(named, int(size), base64.b64decode(root, validate=True))
    if note != _note(head, name, signed):
        raise ValueError("the checkpoint says more than is signed, or is written in another form")
    return head


def _text(head: Head) -> str:
    return f"{head.origin}\n{head.size}\n{_base64(head.root)}\n"


def _note(head: Head, name: str, signed: bytes) -> str:
    return f"{_text(head)}\n— {name} {_base64(signed)}\n"


def _key_id(name: str, key: Ed25519PublicKey) -> bytes:
    return sha256(name.encode() + b"\n" + ED25519 + key.public_bytes_raw()).digest()[:KEY_ID_BYTES]


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
