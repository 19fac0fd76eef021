"""Encryption of single columns, and an index that finds a value without showing it.

AES-256-GCM with a random nonce; the key's id stands beside each value, and the context (table,
column and row) is bound to it, so that a value copied to another row does not open. New values use
the newest key, older keys still open what they closed. The blind index is HMAC-SHA-256 under a
key of its own, because a bare hash of an identity number can be guessed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.runtime.base.secret_files import write_beside, write_once

KEY_BYTES = 32
NONCE_BYTES = 12
FORMAT = 1


class KeyFileError(RuntimeError):
    """There is no key file where one is needed."""


class ClosedValueError(ValueError):
    """A value was changed, belongs to another row, or its key is not in the key file."""


@dataclass(frozen=True)
class Keys:
    """Encryption keys by id, which of them closes new values, and the key of the blind index."""

    encryption: Mapping[str, bytes]
    newest: str
    index: bytes


class ColumnCipher:
    """Closes and opens the values of encrypted columns."""

    def __init__(self, keys: Keys) -> None:
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.encryption.items()}
        self._newest = keys.newest
        self._index = keys.index

    def encrypt(self, text: str, context: str) -> bytes:
        """The closed value: format, key id, nonce, ciphertext. `context` names table and row."""
        header = bytes((FORMAT, len(self._newest))) + self._newest.encode("ascii")
        nonce = secrets.token_bytes(NONCE_BYTES)
        bound = header + context.encode()
        return header + nonce + self._ciphers[self._newest].encrypt(nonce, text.encode(), bound)

    def decrypt(self, value: bytes, context: str) -> str:
        """The text of a closed value; raises ClosedValueError."""
        key_id = self.key_id(value)
        start = 2 + len(key_id)
        if key_id not in self._ciphers:
            raise ClosedValueError(f"the key {key_id!r} is not in the key file; add it again")
        nonce, closed = value[start : start + NONCE_BYTES], value[start + NONCE_BYTES :]
        try:
            opened = self._ciphers[key_id].decrypt(nonce, closed, value[:start] + context.encode())
        except (InvalidTag, ValueError) as error:
            raise ClosedValueError("the value was changed or belongs to another row") from error
        return opened.decode()

    def key_id(self, value: bytes) -> str:
        """Which key closed a value, for finding rows to close anew after a rotation."""
        if len(value) < 2 or value[0] != FORMAT:
            raise ClosedValueError("the value is not in the format of encrypted columns")
        return value[2 : 2 + value[1]].decode("ascii", "replace")

    def is_current(self, value: bytes) -> bool:
        """Whether the newest key closed the value."""
        return self.key_id(value) == self._newest

    def blind_index(self, text: str) -> bytes:
        """32 bytes that are equal for equal texts and say nothing about them."""
        return hmac.new(self._index, text.encode(), hashlib.sha256).digest()


def load_keys(path: Path) -> Keys:
    """Read a key file; raises KeyFileError if there is none."""
    try:
        content = json.loads(path.read_text(encoding="ascii"))
    except FileNotFoundError as error:
        raise KeyFileError(
            f"there is no key file at {path}; put it there, or set OIP_KEYS_FILE"
        ) from error
    encryption = {row["id"]: base64.b64decode(row["key"]) for row in content["encryption"]}
    keys = Keys(encryption, content["encryption"][-1]["id"], base64.b64decode(content["index"]))
    if any(len(key) != KEY_BYTES for key in (*encryption.values(), keys.index)):
        raise ValueError(f"{path}: every key has {KEY_BYTES} bytes, in base64")
    return keys


def load_or_make_keys(path: Path) -> Keys:
    """Read a key file, or make one on the first start of a development stack (mode 0600)."""
    if not path.exists():
        write_once(path, _as_file({"encryption": [_new_key("k1")], "index": _random()}))
    return load_keys(path)


def rotate(path: Path) -> str:
    """Add a new encryption key to a key file and return its id; from now on it closes values."""
    content = json.loads(path.read_text(encoding="ascii"))
    key = _new_key(f"k{len(content['encryption']) + 1}")
    content["encryption"].append(key)
    beside = write_beside(path, _as_file(content))
    beside.replace(path)
    return key["id"]


def _new_key(key_id: str) -> dict[str, str]:
    return {"id": key_id, "key": _random()}


def _random() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii")


def _as_file(content: object) -> bytes:
    return json.dumps(content, indent=1).encode("ascii")
