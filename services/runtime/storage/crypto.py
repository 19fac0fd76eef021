"""Envelope encryption of values at rest, and a blind index that finds one without decrypting it.

A value is encrypted under a data key: that of the person it is about, or that of the service. Data
keys are stored in the table `data_key`, wrapped with a key of the key file (data_keys.py), so that
a new wrapping key changes no value. A value names its suite of algorithms (suites.py) and its key,
and its context (table, column and row) is authenticated, so that a value copied to another row
cannot be decrypted. When a person is erased, the data key is destroyed and the values stay; a
reader shows `PERSON_ERASED` in their place. The blind index is HMAC-SHA-256 under a separate key,
because a plain hash of an identity number can be guessed.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.exceptions import InvalidTag

from services.kernel.problems import Kind, Problem
from services.runtime.storage.key_file import Keys
from services.runtime.storage.suites import AES_256_GCM, SUITES, Suite, newest_suite

NONCE_BYTES = 12
ID_BYTES = 8
FORMAT = 1
HEADER_BYTES = 3
# What a reader shows in the place of a text about a person who was erased.
ERASED = "PERSON_ERASED"


class DecryptionError(ValueError):
    """A value was changed, belongs to another row, or its key is not known."""


class DataKeyErased(Problem):
    """A value is under a data key that was destroyed with the erasure of a person."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "DATA_KEY_ERASED"
    message = (
        "What this concerns was erased with the personal data of a person and cannot be read any"
        " more (data keys {keys}); leave it out."
    )
    message_zh = "相关内容已随个人信息删除而无法读取 (数据密钥 {keys}); 请勿再请求该内容。"


@dataclass(frozen=True)
class DataKey:
    """A data key in the clear."""

    id: str
    key: bytes = field(repr=False)
    suite: Suite = field(default_factory=newest_suite)

    @classmethod
    def random(cls) -> DataKey:
        """A new data key."""
        suite = newest_suite()
        return cls(secrets.token_hex(ID_BYTES), secrets.token_bytes(suite.key_bytes), suite)


class KeySource(Protocol):
    """Where wrapping keys come from: the key file, or keys in memory."""

    def current(self) -> Keys:
        """The keys as they are now."""


class ColumnCipher:
    """Encrypts under one data key, and decrypts what is under this one and others that it knows.

    That of a process has the key of the service; data_keys.py makes those of persons from it.
    """

    def __init__(
        self,
        source: KeySource,
        key: DataKey | None = None,
        known: Iterable[DataKey] = (),
        erased: Iterable[str] = (),
    ) -> None:
        self._source = source
        self._key = key
        self._known = {known_key.id: known_key for known_key in known}
        self._erased = frozenset(erased)
        if key is not None:
            self._known[key.id] = key

    def adopt(self, key: DataKey) -> None:
        """Encrypt under the key of the service, for all who use this cipher."""
        self._known[key.id] = key
        self._key = key

    def under(self, key: DataKey) -> ColumnCipher:
        """A cipher that encrypts under another data key and knows those of this one."""
        return ColumnCipher(self._source, key, self._known.values(), self._erased)

    def like(self, value: bytes) -> ColumnCipher:
        """A cipher that encrypts under the key of a value; raises DataKeyErased."""
        key_id = key_id_of(value)
        if key_id in self._erased:
            raise DataKeyErased(keys=key_id)
        return self.under(self._known[key_id])

    def knowing(self, keys: Iterable[DataKey], erased: Iterable[str] = ()) -> ColumnCipher:
        """A cipher that can decrypt what is under these keys as well.

        It knows also which keys were destroyed.
        """
        known, destroyed = (*self._known.values(), *keys), {*self._erased, *erased}
        return ColumnCipher(self._source, self._key, known, destroyed)

    def knows(self, key_id: str) -> bool:
        """Whether a data key is known, or known to be destroyed."""
        return key_id in self._known or key_id in self._erased

    def is_erased(self, value: bytes) -> bool:
        """Whether an encrypted value is under a data key that was destroyed."""
        return key_id_of(value) in self._erased

    def encrypt(self, text: str, context: str) -> bytes:
        """A text in an encrypted value. `context` names table, column and row."""
        return self.seal(text.encode(), context)

    def decrypt(self, value: bytes, context: str) -> str:
        """The text of an encrypted value; raises DecryptionError or DataKeyErased."""
        return self.open(value, context).decode()

    def show(self, value: bytes, context: str, erased: str = ERASED) -> str:
        """The text of an encrypted value, or `erased` if its person was erased."""
        return erased if self.is_erased(value) else self.decrypt(value, context)

    def seal(self, content: bytes, context: str) -> bytes:
        """Bytes in an encrypted value. `context` names table, column and row."""
        if self._key is None:
            raise DecryptionError("the key of the service is not open; see data_keys.py")
        return _seal(self._key, content, context)

    def seal_repeatably(self, content: bytes, context: str) -> bytes:
        """The same, but equal content gives an equal value under one key: for events.

        The nonce is a keyed hash of the content, so that no nonce serves two contents.
        """
        if self._key is None:
            raise DecryptionError("the key of the service is not open; see data_keys.py")
        nonce_key = hmac.new(self._key.key, b"nonce", hashlib.sha256).digest()
        text = hashlib.sha256(context.encode()).digest() + content
        nonce = hmac.new(nonce_key, text, hashlib.sha256).digest()[:NONCE_BYTES]
        return _seal(self._key, content, context, nonce)

    def open(self, value: bytes, context: str) -> bytes:
        """The bytes of an encrypted value; raises DecryptionError or DataKeyErased."""
        key_id = key_id_of(value)
        if key_id in self._erased:
            raise DataKeyErased(keys=key_id)
        key = self._known.get(key_id)
        if key is None:
            raise DecryptionError(f"the data key {key_id!r} is not known; see data_keys.for_rows")
        return _open(key, value, context)

    def wrap(self, key: DataKey) -> tuple[str, bytes]:
        """The id of the newest wrapping key, and a data key wrapped with it."""
        keys = self._source.current()
        wrapping = _wrapping_key(keys, keys.newest)
        return wrapping.id, _seal(wrapping, key.key, _context_of(key.id, key.suite.number))

    def unwrap(self, key_id: str, suite: int, wrapped: bytes) -> DataKey:
        """A data key from its row; raises DecryptionError."""
        keys, wrapping_id = self._source.current(), key_id_of(wrapped)
        if wrapping_id not in keys.encryption:
            raise DecryptionError(f"the key {wrapping_id!r} is not in the key file; add it again")
        wrapping = _wrapping_key(keys, wrapping_id)
        return DataKey(key_id, _open(wrapping, wrapped, _context_of(key_id, suite)), SUITES[suite])

    @property
    def wrapping_ids(self) -> tuple[str, ...]:
        """The ids of the wrapping keys, the newest last."""
        keys = self._source.current()
        return (*(key_id for key_id in keys.encryption if key_id != keys.newest), keys.newest)

    def blind_index(self, text: str) -> bytes:
        """32 bytes that are equal for equal texts and reveal nothing else about them."""
        return hmac.new(self._source.current().index, text.encode(), hashlib.sha256).digest()


def key_id_of(value: bytes) -> str:
    """The id of the key that encrypted a value; raises DecryptionError."""
    length = value[2] if len(value) > HEADER_BYTES and value[0] == FORMAT else 0
    if not length or value[1] not in SUITES or len(value) < HEADER_BYTES + length + NONCE_BYTES:
        raise DecryptionError("the value is not in the format of encrypted values")
    return value[HEADER_BYTES : HEADER_BYTES + length].decode("ascii", "replace")


def _wrapping_key(keys: Keys, key_id: str) -> DataKey:
    return DataKey(key_id, keys.encryption[key_id], SUITES[keys.suite_of(key_id)])


def _context_of(key_id: str, suite: int) -> str:
    return f"data_key/{key_id}/{suite}"


def wrap_with(wrapping: bytes, key: DataKey) -> bytes:
    """A data key wrapped with another key than one of the key file: for a consumer."""
    return _seal(_shared(wrapping), key.key, _context_of(key.id, key.suite.number))


def unwrap_with(wrapping: bytes, key_id: str, suite: int, wrapped: bytes) -> DataKey:
    """A data key from what `wrap_with` gave; raises DecryptionError."""
    if suite not in SUITES or key_id_of(wrapped) != "shared":
        raise DecryptionError("the shared key is not in the format of wrapped keys")
    key = _open(_shared(wrapping), wrapped, _context_of(key_id, suite))
    return DataKey(key_id, key, SUITES[suite])


def _shared(wrapping: bytes) -> DataKey:
    """The key that key_sharing.py computes for one call; always of the first suite."""
    return DataKey("shared", wrapping, AES_256_GCM)


def _seal(key: DataKey, content: bytes, context: str, nonce: bytes = b"") -> bytes:
    header = bytes((FORMAT, key.suite.number, len(key.id))) + key.id.encode("ascii")
    nonce = nonce or secrets.token_bytes(NONCE_BYTES)
    return (
        header + nonce + key.suite.aead(key.key).encrypt(nonce, content, header + context.encode())
    )


def _open(key: DataKey, value: bytes, context: str) -> bytes:
    start = HEADER_BYTES + len(key.id)
    header, nonce = value[:start], value[start : start + NONCE_BYTES]
    try:
        suite = SUITES[value[1]]
        ciphertext = value[start + NONCE_BYTES :]
        return suite.aead(key.key).decrypt(nonce, ciphertext, header + context.encode())
    except (InvalidTag, ValueError) as error:
        raise DecryptionError("the value was changed or belongs to another row") from error
