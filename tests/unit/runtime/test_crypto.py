"""Encrypted columns: bound to their row, under the newest key, and never guessable."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.storage.crypto import (
    ColumnCipher,
    DecryptionError,
    KeyFileError,
    Keys,
    load_keys,
    load_or_make_keys,
)

CIPHER = ColumnCipher(Keys({"k1": bytes(32)}, "k1", b"i" * 32))


@given(st.text(), st.text())
def test_what_is_closed_opens_in_its_context(text: str, context: str) -> None:
    assert CIPHER.decrypt(CIPHER.encrypt(text, context), context) == text


def test_equal_texts_close_differently() -> None:
    assert CIPHER.encrypt("same", "row") != CIPHER.encrypt("same", "row")


def test_a_value_of_another_row_does_not_open() -> None:
    closed = CIPHER.encrypt("440106199001011234", "worker.citizen_number/1")
    with pytest.raises(DecryptionError, match="another row"):
        CIPHER.decrypt(closed, "worker.citizen_number/2")


def test_any_changed_byte_is_noticed() -> None:
    closed = CIPHER.encrypt("x", "row")
    for place in range(len(closed)):
        changed = bytearray(closed)
        changed[place] ^= 1
        with pytest.raises(DecryptionError):
            CIPHER.decrypt(bytes(changed), "row")


@pytest.mark.parametrize("length", range(35))
def test_a_value_cut_short_is_refused(length: int) -> None:
    closed = CIPHER.encrypt("some text", "row")[:length]
    with pytest.raises(DecryptionError):
        CIPHER.decrypt(closed, "row")


def test_with_a_second_key_old_values_open_and_new_ones_use_the_new_key(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    before = ColumnCipher(load_or_make_keys(path))
    old = before.encrypt("old", "row")
    content = json.loads(path.read_text())
    content["encryption"].append({"id": "k2", "key": base64.b64encode(b"2" * 32).decode()})
    path.write_text(json.dumps(content))
    after = ColumnCipher(load_keys(path))

    assert after.decrypt(old, "row") == "old"
    assert (after.key_id(old), after.key_id(after.encrypt("new", "row"))) == ("k1", "k2")
    assert after.blind_index("x") == before.blind_index("x")


def test_a_value_whose_key_is_gone_says_which(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    closed = ColumnCipher(load_or_make_keys(path)).encrypt("x", "row")
    content = json.loads(path.read_text())
    content["encryption"][0]["id"] = "k9"
    path.write_text(json.dumps(content))
    with pytest.raises(DecryptionError, match="'k1' is not in the key file"):
        ColumnCipher(load_keys(path)).decrypt(closed, "row")


def test_the_blind_index_finds_equals_and_differs_by_key() -> None:
    other = ColumnCipher(Keys({"k1": bytes(32)}, "k1", b"j" * 32))
    assert CIPHER.blind_index("a") == CIPHER.blind_index("a")
    assert CIPHER.blind_index("a") != CIPHER.blind_index("b")
    assert CIPHER.blind_index("a") != other.blind_index("a")


def test_keys_are_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "columns.json"
    first = load_or_make_keys(path)

    assert load_or_make_keys(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["columns.json"]


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="OIP_KEYS_FILE"):
        load_keys(tmp_path / "none.json")


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text('{"encryption": [{"id": "k1", "key": "QUJD"}], "index": "QUJD"}')
    with pytest.raises(ValueError, match="32 bytes"):
        load_keys(path)
