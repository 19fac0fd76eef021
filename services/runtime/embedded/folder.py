"""The lock on the state folder: one stack at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.runtime.base.refusals import StartRefusedError
from services.runtime.embedded.processes import CannotStartError


class StateInUseError(StartRefusedError):
    """Another stack runs on the same folder."""

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(
            f"another stack (process {holder or 'unknown'}) runs on {folder}; "
            "stop it first, or set OIP_STATE_DIR to another folder"
        )


@contextmanager
def locked(state_dir: Path) -> Iterator[Path]:
    """Lock the folder for this process; the kernel releases the lock when the process ends."""
    folder = state_dir.resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CannotStartError(
            f"cannot write to {folder} ({error.strerror}); set OIP_STATE_DIR to another folder"
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            raise StateInUseError(folder, holder) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        yield folder
    finally:
        os.close(descriptor)
