"""A small disk that a test fills and enlarges: a tmpfs, which needs the right to mount."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CHUNK_BYTES = 1 << 20


class SmallDisk:
    """A mounted tmpfs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def free_bytes(self) -> int:
        """What is left for ordinary users."""
        state = os.statvfs(self.folder)
        return state.f_bavail * state.f_frsize

    def fill(self) -> None:
        """Take all the space that is left."""
        with (self.folder / "ballast").open("ab") as file:
            while self.free_bytes:
                try:
                    os.write(file.fileno(), bytes(min(CHUNK_BYTES, self.free_bytes)))
                except OSError:
                    return

    def free(self) -> None:
        """Give back what `fill` took."""
        (self.folder / "ballast").unlink(missing_ok=True)

    def grow(self, mebibytes: int) -> None:
        """Enlarge the disk."""
        _mount("-o", f"remount,size={mebibytes}m", str(self.folder))


@contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[SmallDisk]:
    """A disk of this size at a folder; skips the test where nothing may be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _mount("-t", "tmpfs", "-o", f"size={mebibytes}m,mode=0777", "tmpfs", str(folder))
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small disk cannot be mounted here ({error}); run as root")
    try:
        yield SmallDisk(folder)
    finally:
        # Lazily: a server that is just ending may still hold a file.
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True, timeout=10)
