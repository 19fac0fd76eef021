"""The key file: the keys that wrap data keys, and the key of the blind index.

`oip keys new` adds a key, which a running service uses at once; `oip keys rotate` then wraps all
data keys with it. The key of the blind index never changes.
"""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.runtime.base.refusals import StartRefusedError
from services.runtime.base.secret_files import write_draft, write_once

KEY_BYTES = 32


class KeyFileError(StartRefusedError):
    """A key file is needed and missing."""


@dataclass(frozen=True)
class Keys:
    """Wrapping keys by id, the id of the newest, and the key of the blind index."""

    encryption: Mapping[str, bytes] = field(repr=False)
    newest: str
    index: bytes = field(repr=False)

    def current(self) -> Keys:
        """These keys, which do not change."""
        return self


class KeyFile:
    """The keys of a file, read again when it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = _stamp(path)
        self._keys = load_keys(path)

    def current(self) -> Keys:
        """The keys as the file has them now; those read last while it cannot be read."""
        stamp = _stamp(self._path)
        if stamp != self._stamp:
            # A file that is being written is read again at the next call; health reports a bad one.
            with contextlib.suppress(ValueError, LookupError, KeyFileError):
                self._keys = load_keys(self._path)
                self._stamp = stamp
        return self._keys


def load_keys(path: Path) -> Keys:
    """Read a key file; raises KeyFileError if there is none, or no keys in it."""
    content = _content(path)
    try:
        encryption = {row["id"]: base64.b64decode(row["key"]) for row in content["encryption"]}
        keys = Keys(encryption, content["encryption"][-1]["id"], base64.b64decode(content["index"]))
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise _unusable(path, error) from error
    if any(len(key) != KEY_BYTES for key in (*encryption.values(), keys.index)):
        raise KeyFileError(f"{path}: every key has {KEY_BYTES} bytes, in base64")
    return keys


def load_or_make_keys(path: Path) -> Keys:
    """Read a key file, or make one on the first start of a development stack (mode 0600)."""
    if not path.exists():
        write_once(path, _as_file({"encryption": [_new_key("k1")], "index": _random()}))
    return load_keys(path)


def add_key(path: Path) -> str:
    """Add a wrapping key, which becomes the newest; its id. The file is replaced whole."""
    content = _content(path)
    known = {row["id"] for row in content["encryption"]}
    number = len(known) + 1
    while f"k{number}" in known:
        number += 1
    content["encryption"].append(_new_key(f"k{number}"))
    write_draft(path, _as_file(content)).replace(path)
    return f"k{number}"


def _content(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="ascii"))
    except FileNotFoundError as error:
        raise KeyFileError(
            f"there is no key file at {path}; put it there, or set OIP_KEYS_FILE"
        ) from error
    except (OSError, ValueError) as error:
        raise _unusable(path, error) from error
    return content


def _unusable(path: Path, error: Exception) -> KeyFileError:
    return KeyFileError(
        f"{path} cannot be read as a key file ({type(error).__name__}); set OIP_KEYS_FILE to "
        "the one of this deployment"
    )


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _new_key(key_id: str) -> dict[str, str]:
    return {"id": key_id, "key": _random()}


def _random() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii")


def _as_file(content: object) -> bytes:
    return json.dumps(content, indent=1).encode("ascii")
