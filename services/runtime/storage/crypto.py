"""Encryption of single columns, and a blind index that finds a value without decrypting it.

AES-256-GCM with a random nonce. Each value carries the id of its key, and its context (table,
column and row) is authenticated, so that a value copied to another row cannot be decrypted. New
values use the newest key; older keys still decrypt the values they encrypted. The blind index is
HMAC-SHA-256 under a separate key, because a plain hash of an identity number can be guessed.
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

from services.runtime.base.secret_files import write_once

KEY_BYTES = 32
NONCE_BYTES = 12
FORMAT = 1


class KeyFileError(RuntimeError):
    """A key file is needed and missing."""


class DecryptionError(ValueError):
    """A value was changed, belongs to another row, or its key is not in the key file."""


@dataclass(frozen=True)
class Keys:
    """Encryption keys by id, the id of the newest, and the key of the blind index."""

    encryption: Mapping[str, bytes]
    newest: str
    index: bytes


class ColumnCipher:
    """Encrypts and decrypts the values of encrypted columns."""

    def __init__(self, keys: Keys) -> None:
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.encryption.items()}
        self._newest = keys.newest
        self._index = keys.index

    def encrypt(self, text: str, context: str) -> bytes:
        """Format, key id, nonce and ciphertext in one value. `context` names table and row."""
        header = bytes((FORMAT, len(self._newest))) + self._newest.encode("ascii")
        nonce = secrets.token_bytes(NONCE_BYTES)
        associated = header + context.encode()
        ciphertext = self._ciphers[self._newest].encrypt(nonce, text.encode(), associated)
        return header + nonce + ciphertext

    def decrypt(self, value: bytes, context: str) -> str:
        """The text of an encrypted value; raises DecryptionError."""
        key_id = self.key_id(value)
        start = 2 + len(key_id)
        if key_id not in self._ciphers:
            raise DecryptionError(f"the key {key_id!r} is not in the key file; add it again")
        nonce, ciphertext = value[start : start + NONCE_BYTES], value[start + NONCE_BYTES :]
        try:
            associated = value[:start] + context.encode()
            text = self._ciphers[key_id].decrypt(nonce, ciphertext, associated)
        except (InvalidTag, ValueError) as error:
            raise DecryptionError("the value was changed or belongs to another row") from error
        return text.decode()

    def key_id(self, value: bytes) -> str:
        """The id of the key that encrypted a value."""
        if len(value) < 2 or value[0] != FORMAT:
            raise DecryptionError("the value is not in the format of encrypted columns")
        return value[2 : 2 + value[1]].decode("ascii", "replace")

    def blind_index(self, text: str) -> bytes:
        """32 bytes that are equal for equal texts and reveal nothing else about them."""
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


def _new_key(key_id: str) -> dict[str, str]:
    return {"id": key_id, "key": _random()}


def _random() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii")


def _as_file(content: object) -> bytes:
    return json.dumps(content, indent=1).encode("ascii")
