"""The key file: the keys that wrap data keys, and the key of the blind index.

`oip keys new` adds a key, which a running service uses at once; `oip keys rotate` then wraps all
data keys with it. The key of the blind index never changes. The keys stand in the file as a
`KeyWrapper` writes them (key_wrapping.py).
"""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from services.runtime.base.refusals import StartRefusedError
from services.runtime.base.secret_files import write_draft, write_once
from services.runtime.storage.key_wrapping import InTheClear, KeyWrapper
from services.runtime.storage.suites import AES_256_GCM, SUITES, newest_suite

# Of a file: inode, time of its last change in nanoseconds, size.
FileStamp: TypeAlias = tuple[int, int, int]

INDEX_BYTES = 32
IN_THE_CLEAR = InTheClear()
# Between two runs of a command that may fail.
COMMAND_PAUSE_SECONDS = 2.0


class KeyFileError(StartRefusedError):
    """A key file is needed and missing."""


@dataclass(frozen=True)
class Keys:
    """Wrapping keys by id, the id of the newest, and the key of the blind index."""

    encryption: Mapping[str, bytes] = field(repr=False)
    newest: str
    index: bytes = field(repr=False)
    # The suite of each wrapping key, if it is not the first one.
    suites: Mapping[str, int] = field(default_factory=dict)

    def current(self) -> Keys:
        """These keys, which do not change."""
        return self

    def suite_of(self, key_id: str) -> int:
        """The number of the suite of a wrapping key."""
        return self.suites.get(key_id, AES_256_GCM.number)


class KeyFile:
    """The keys of a file, read again when it has changed."""

    def __init__(self, path: Path, wrapper: KeyWrapper = IN_THE_CLEAR) -> None:
        self._path = path
        self._wrapper = wrapper
        self._stamp = file_stamp(path)
        self._keys = load_keys(path, wrapper)
        self._reading: threading.Thread | None = None
        self._try_again_at = 0.0

    def current(self) -> Keys:
        """The keys as the file has them now; those read last while it cannot be read.

        Where a command unwraps the keys, a changed file is read in a thread, because the command
        may take seconds; until then the keys read last count.
        """
        stamp = file_stamp(self._path)
        if stamp == self._stamp:
            return self._keys
        if isinstance(self._wrapper, InTheClear):
            self._read(stamp)
        elif time.monotonic() > self._try_again_at and not self._is_reading:
            self._try_again_at = time.monotonic() + COMMAND_PAUSE_SECONDS
            self._reading = threading.Thread(target=self._read, args=[stamp], daemon=True)
            self._reading.start()
        return self._keys

    @property
    def _is_reading(self) -> bool:
        return self._reading is not None and self._reading.is_alive()

    def _read(self, stamp: FileStamp | None) -> None:
        # A file that is being written is read again at the next call; health reports a bad one.
        with contextlib.suppress(ValueError, LookupError, StartRefusedError):
            self._keys = load_keys(self._path, self._wrapper)
            self._stamp = stamp


def load_keys(path: Path, wrapper: KeyWrapper = IN_THE_CLEAR) -> Keys:
    """Read a key file; raises KeyFileError if there is none or no keys in it, or KeyWrapError."""
    content = _content(path)
    _require_wrapped(path, content, wrapper)
    try:
        rows = {row["id"]: row for row in content["encryption"]}
        keys = Keys(
            {key_id: wrapper.unwrap(row[wrapper.field]) for key_id, row in rows.items()},
            content["encryption"][-1]["id"],
            wrapper.unwrap(_index_row(content)[wrapper.field]),
            {key_id: int(row.get("suite", AES_256_GCM.number)) for key_id, row in rows.items()},
        )
        sizes = {key_id: SUITES[number].key_bytes for key_id, number in keys.suites.items()}
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise _unusable(path, error) from error
    wrong = [key_id for key_id, key in keys.encryption.items() if len(key) != sizes[key_id]]
    if wrong or len(keys.index) != INDEX_BYTES:
        raise KeyFileError(
            f"{path}: a key has the number of bytes of its suite, {AES_256_GCM.key_bytes} bytes for"
            f" {AES_256_GCM.name}, and the key of the index {INDEX_BYTES}",
            f"{path}: 密钥长度须符合其算法, 即 {AES_256_GCM.key_bytes} 字节, "
            f"索引密钥 {INDEX_BYTES} 字节。",
        )
    return keys


def load_or_make_keys(path: Path, wrapper: KeyWrapper = IN_THE_CLEAR) -> Keys:
    """Read a key file, or make one on the first start of a development stack (mode 0600)."""
    if not path.exists():
        make_keys(path, wrapper)
    return load_keys(path, wrapper)


def make_keys(path: Path, wrapper: KeyWrapper = IN_THE_CLEAR) -> None:
    """Make a key file (mode 0600), unless there is one."""
    index = {wrapper.field: wrapper.wrap(secrets.token_bytes(INDEX_BYTES))}
    write_once(path, _as_file({"encryption": [_new_key("k1", wrapper)], "index": index}))


def add_key(path: Path, wrapper: KeyWrapper = IN_THE_CLEAR) -> str:
    """Add a wrapping key, which becomes the newest; its id. The file is replaced whole."""
    content = _content(path)
    _require_wrapped(path, content, wrapper)
    known = {row["id"] for row in content["encryption"]}
    number = len(known) + 1
    while f"k{number}" in known:
        number += 1
    content["encryption"].append(_new_key(f"k{number}", wrapper))
    write_draft(path, _as_file(content)).replace(path)
    return f"k{number}"


def wrap_file(path: Path, wrapper: KeyWrapper) -> int:
    """Wrap the keys that stand in the clear in a file, the same keys; how many."""
    content, count = _content(path), 0
    content["index"] = _index_row(content)
    for row in (*content["encryption"], content["index"]):
        if (clear := row.pop(IN_THE_CLEAR.field, None)) is not None:
            row[wrapper.field] = wrapper.wrap(IN_THE_CLEAR.unwrap(clear))
            count += 1
    if count:
        write_draft(path, _as_file(content)).replace(path)
    return count


def _content(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise KeyFileError(
            f"there is no key file at {path}; put it there, or set OIP_KEYS_FILE",
            f"没有密钥文件 {path}; 请放置该文件, 或设置 OIP_KEYS_FILE。",
        ) from error
    except (OSError, ValueError) as error:
        raise _unusable(path, error) from error
    return content


def _index_row(content: Mapping[str, Any]) -> dict[str, str]:
    """The key of the index; a file of the first form has it as a text."""
    index = content["index"]
    return {IN_THE_CLEAR.field: index} if isinstance(index, str) else index


def _require_wrapped(path: Path, content: Mapping[str, Any], wrapper: KeyWrapper) -> None:
    """Raise KeyFileError for keys that stand in the file otherwise than the wrapper writes them."""
    try:
        rows = (*content["encryption"], _index_row(content))
        fields = {name for row in rows for name in row if name in {"key", "wrapped"}}
    except (KeyError, TypeError, AttributeError) as error:
        raise _unusable(path, error) from error
    if IN_THE_CLEAR.field in fields - {wrapper.field}:
        raise KeyFileError(
            f"{path} has keys in the clear, and OIP_KEY_WRAP_COMMAND is set; run `oip keys wrap`",
            f"{path} 含有未封装的密钥, 而已设置 OIP_KEY_WRAP_COMMAND; 请执行 `oip keys wrap`。",
        )
    if fields - {wrapper.field}:
        raise KeyFileError(
            f"the keys in {path} are wrapped by a command; set OIP_KEY_WRAP_COMMAND to it",
            f"{path} 中的密钥由命令封装; 请将 OIP_KEY_WRAP_COMMAND 设为该命令。",
        )


def _unusable(path: Path, error: Exception) -> KeyFileError:
    return KeyFileError(
        f"{path} cannot be read as a key file ({type(error).__name__}); set OIP_KEYS_FILE to "
        "the one of this deployment",
        f"{path} 不是密钥文件 ({type(error).__name__}); 请将 OIP_KEYS_FILE 设为本系统的密钥文件。",
    )


def file_stamp(path: Path) -> FileStamp | None:
    """What changes when a file is written; None for a missing one."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _new_key(key_id: str, wrapper: KeyWrapper) -> dict[str, str | int]:
    suite = newest_suite()
    key = secrets.token_bytes(suite.key_bytes)
    return {"id": key_id, "suite": suite.number, wrapper.field: wrapper.wrap(key)}


def _as_file(content: object) -> bytes:
    return json.dumps(content, indent=1, ensure_ascii=False).encode()
