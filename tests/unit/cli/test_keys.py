"""`oip keys new`: a key is added to a key file that exists."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from services.cli.main import app
from services.runtime.storage.key_file import load_keys, load_or_make_keys


def test_a_new_key_is_the_newest_and_the_command_says_what_follows(tmp_path: Path) -> None:
    path = tmp_path / "columns.json"
    before = load_or_make_keys(path)

    result = CliRunner().invoke(app, ["keys", "new", "--key-file", str(path)])

    assert result.exit_code == 0, result.output
    assert "oip keys rotate --key k2" in " ".join(result.output.split())
    after = load_keys(path)
    assert (after.newest, after.index) == ("k2", before.index)
    assert set(after.encryption) == {"k1", "k2"}


def test_a_missing_key_file_is_refused_with_one_sentence(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["keys", "new", "--key-file", str(tmp_path / "none.json")])

    assert result.exit_code == 2
    assert "OIP_KEYS_FILE" in result.output
