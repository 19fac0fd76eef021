"""The runner of tests that keeps their temporary files in memory."""

import sys
from pathlib import Path

import pytest

from tools import in_memory

WRITES = "import pathlib, tempfile; pathlib.Path(tempfile.mkdtemp(), 'a').touch(); exit(3)"


def test_the_exit_code_comes_back_and_no_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(in_memory, "MEMORY", tmp_path)
    monkeypatch.setattr(in_memory, "has_room", lambda: True)

    assert in_memory.main([sys.executable, "-c", WRITES]) == 3
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_somebody_chose_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    assert in_memory.main([sys.executable, "-c", WRITES]) == 3
    assert len(list(tmp_path.glob("*/a"))) == 1


def test_too_little_room_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_memory, "FILES_BYTES", 1 << 60)

    assert not in_memory.has_room()
