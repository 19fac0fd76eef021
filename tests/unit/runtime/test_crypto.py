"""Encrypted values: bound to their row, under a wrapped data key, and never guessable."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.storage.crypto import (
    ColumnCipher,
    DataKey,
    DataKeyErased,
    DecryptionError,
    key_id_of,
)
from services.runtime.storage.key_file import (
    KeyFile,
    KeyFileError,
    Keys,
    add_key,
    load_keys,
    load_or_make_keys,
)
from services.runtime.storage.suites import AES_256_GCM, SUITES, Suite

KEYS = Keys({"k1": bytes(32)}, "k1", b"i" * 32)
CIPHER = ColumnCipher(KEYS, DataKey.random())


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


def test_a_cipher_under_another_key_reads_both_and_the_first_reads_its_own_alone() -> None:
    person = CIPHER.under(DataKey.random())
    closed = person.encrypt("x", "row")

    assert person.decrypt(closed, "row") == "x"
    assert person.decrypt(CIPHER.encrypt("y", "row"), "row") == "y"
    with pytest.raises(DecryptionError, match="is not known"):
        CIPHER.decrypt(closed, "row")


def test_a_new_wrapping_key_changes_no_value(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    load_or_make_keys(path)
    cipher, key = ColumnCipher(KeyFile(path)), DataKey.random()
    closed, index = cipher.under(key).encrypt("old", "row"), cipher.blind_index("x")
    old_id, old_wrapped = cipher.wrap(key)

    assert add_key(path) == "k2"
    new_id, new_wrapped = cipher.wrap(key)

    assert (old_id, new_id) == ("k1", "k2")
    assert (key_id_of(old_wrapped), key_id_of(new_wrapped)) == ("k1", "k2")
    for wrapped in (old_wrapped, new_wrapped):
        unwrapped = cipher.unwrap(key.id, AES_256_GCM.number, wrapped)
        assert cipher.knowing([unwrapped]).decrypt(closed, "row") == "old"
    assert cipher.blind_index("x") == index
    assert cipher.wrapping_ids == ("k1", "k2")


def test_a_wrapped_key_is_that_of_its_row_alone() -> None:
    key = DataKey.random()
    _, wrapped = CIPHER.wrap(key)
    with pytest.raises(DecryptionError, match="another row"):
        CIPHER.unwrap(DataKey.random().id, AES_256_GCM.number, wrapped)


def test_a_second_suite_is_used_beside_the_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "keys.json"
    load_or_make_keys(path)
    cipher, first = ColumnCipher(KeyFile(path)), DataKey.random()
    old, old_wrapped = cipher.under(first).encrypt("old", "row"), cipher.wrap(first)[1]

    # Keys of another length and other algorithms, as SM4-GCM would bring them.
    second = Suite(2, "AES-128-CCM", 16, AESCCM)
    monkeypatch.setitem(SUITES, second.number, second)
    key = DataKey.random()
    new, new_wrapped = cipher.under(key).encrypt("new", "row"), cipher.wrap(key)[1]
    assert (key.suite, len(key.key)) == (second, 16)
    # The value has the new suite, and its key is wrapped with the key of the first that is there.
    assert (old[1], new[1], new_wrapped[1]) == (1, 2, 1)

    add_key(path)
    rewrapped = {each.id: cipher.wrap(each)[1] for each in (first, key)}
    assert {wrapped[1] for wrapped in rewrapped.values()} == {2}
    for each, older in ((first, old_wrapped), (key, new_wrapped)):
        for wrapped in (older, rewrapped[each.id]):
            assert cipher.unwrap(each.id, each.suite.number, wrapped) == each
    reader = cipher.knowing([first, key])
    assert (reader.decrypt(old, "row"), reader.decrypt(new, "row")) == ("old", "new")
    assert cipher.under(key).seal_repeatably(b"x", "e") == cipher.under(key).seal_repeatably(
        b"x", "e"
    )


def test_a_value_of_an_unknown_suite_is_refused() -> None:
    value = bytearray(CIPHER.encrypt("x", "row"))
    value[1] = 9
    with pytest.raises(DecryptionError, match="format"):
        CIPHER.decrypt(bytes(value), "row")


def test_a_value_under_a_destroyed_key_is_shown_as_erased() -> None:
    key = DataKey.random()
    value = CIPHER.under(key).encrypt("what was said", "row")
    reader = CIPHER.knowing([], [key.id])

    assert reader.is_erased(value)
    assert reader.show(value, "row") == "PERSON_ERASED"
    assert reader.show(value, "row", erased="[]") == "[]"
    with pytest.raises(DataKeyErased) as caught:
        reader.decrypt(value, "row")
    assert caught.value.facts["keys"] == key.id
    with pytest.raises(DataKeyErased):
        reader.like(value)
    assert CIPHER.knowing([key]).show(value, "row") == "what was said"


def test_a_wrapping_key_that_is_gone_is_named(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    load_or_make_keys(path)
    cipher, key = ColumnCipher(KeyFile(path)), DataKey.random()
    _, wrapped = cipher.wrap(key)
    content = json.loads(path.read_text())
    content["encryption"][0]["id"] = "k9"
    path.write_text(json.dumps(content, indent=2))
    with pytest.raises(DecryptionError, match="'k1' is not in the key file"):
        cipher.unwrap(key.id, AES_256_GCM.number, wrapped)


def test_a_key_file_that_is_being_written_leaves_the_keys_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    keys = load_or_make_keys(path)
    file = KeyFile(path)
    whole = path.read_text()
    path.write_text(whole[:40])
    assert file.current() == keys
    path.unlink()
    assert file.current() == keys
    path.write_text(whole)
    add_key(path)
    assert file.current().newest == "k2"


def test_the_blind_index_finds_equals_and_differs_by_key() -> None:
    other = ColumnCipher(Keys({"k1": bytes(32)}, "k1", b"j" * 32))
    assert CIPHER.blind_index("a") == CIPHER.blind_index("a")
    assert CIPHER.blind_index("a") != CIPHER.blind_index("b")
    assert CIPHER.blind_index("a") != other.blind_index("a")


def test_keys_are_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "columns.json"
    first = load_or_make_keys(path)

    assert load_or_make_keys(path) == first
    add_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["columns.json"]


def test_keys_are_in_no_text_of_theirs() -> None:
    key = DataKey.random()
    assert "key=" not in repr(key)
    assert "encryption" not in repr(KEYS)


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="OIP_KEYS_FILE"):
        load_keys(tmp_path / "none.json")


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text('{"encryption": [{"id": "k1", "key": "QUJD"}], "index": "QUJD"}')
    with pytest.raises(KeyFileError, match="32 bytes"):
        load_keys(path)
