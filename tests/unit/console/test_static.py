"""What is sent to everybody: style sheets of others, unchanged but for their typeface."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import pytest

from services.console.static_files import FILES, static_file

THIRD_PARTY = Path(__file__).parents[3] / "third_party"


@pytest.mark.parametrize("sums", sorted(THIRD_PARTY.glob("*/SHA256SUMS")), ids=str)
def test_files_of_others_are_unchanged_and_have_a_licence(sums: Path) -> None:
    lines = [line.split() for line in sums.read_text(encoding="ascii").splitlines()]

    assert (sums.parent / "LICENSE.txt").exists()
    assert {name for _, name in lines} == {
        path.name for path in sums.parent.iterdir() if path.name not in {sums.name, "LICENSE.txt"}
    }
    for digest, name in lines:
        assert sha256((sums.parent / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("name", FILES)
def test_a_file_loads_nothing_from_elsewhere(name: str) -> None:
    file = static_file(name)

    assert file is not None
    text = file.content.decode()
    assert "@font-face" not in text
    assert not re.search(r"url\(['\"]?(https?:)?//|@import", text)


def test_no_other_file_is_sent() -> None:
    assert static_file("../settings.py") is None
