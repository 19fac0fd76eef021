"""What is read as a file of orders: regular files alone, because they are read more than once."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

from services.client.error_words import name_of, os_words
from services.client.files.faults import FileFault, OrderFileUnreadable, Unreadable
from services.kernel.phrases import Phrase

_PIPE = Phrase(
    "PIPE", "it is a pipe or a device; save it as a file", "它是管道或设备, 请先存为文件"
)


def require_regular(path: Path) -> None:
    """Raise Unreadable for a folder, a pipe that would wait for its writer, or a device."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise Unreadable(FileFault.NO_FILE) from error
    except OSError as error:
        raise Unreadable(FileFault.NOT_OPENED, reason=os_words(error)) from error
    if stat.S_ISDIR(mode):
        raise Unreadable(FileFault.NOT_OPENED, reason=os_words(IsADirectoryError(errno.EISDIR, "")))
    if not stat.S_ISREG(mode):
        raise Unreadable(FileFault.NOT_OPENED, reason=_PIPE)


def refuse_other_files(path: Path) -> None:
    """The same, as OrderFileUnreadable."""
    try:
        require_regular(path)
    except Unreadable as refusal:
        raise OrderFileUnreadable.of(name_of(path), refusal.reason) from refusal
