"""A key file whose keys a command wraps: openssl or a script here, a KMS in a deployment."""

from __future__ import annotations

import json
import resource
import shutil
import stat
import sys
import time
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from typer.testing import CliRunner

from services.cli.main import app
from services.runtime.storage.crypto import ColumnCipher, DataKey
from services.runtime.storage.key_file import (
    KeyFile,
    KeyFileError,
    add_key,
    load_keys,
    load_or_make_keys,
    make_keys,
    wrap_file,
)
from services.runtime.storage.key_wrapping import KeyWrapError, WrapCommand, wrapper_of

SCRIPT = """#!/bin/sh
echo "$1" >> "{folder}/calls"
case "$1" in
  wrap) exec openssl enc -aes-256-cbc -pbkdf2 -a -A -pass file:{folder}/kms.key ;;
  unwrap) exec openssl enc -d -aes-256-cbc -pbkdf2 -a -A -pass file:{folder}/kms.key ;;
esac
"""


def script(folder: Path, text: str) -> str:
    path = folder / "kms"
    path.write_text(text.replace("{folder}", str(folder)))
    path.chmod(0o700)
    return str(path)


PYTHON = f"""#!{sys.executable}
import pathlib, sys
from cryptography.fernet import Fernet
folder = pathlib.Path("{{folder}}")
with (folder / "calls").open("a") as calls:
    calls.write(sys.argv[-1] + chr(10))
kms = Fernet((folder / "kms.key").read_bytes())
work = {{"wrap": kms.encrypt, "unwrap": kms.decrypt}}[sys.argv[-1]]
sys.stdout.buffer.write(work(sys.stdin.buffer.read().strip()))
"""


@pytest.fixture(params=["openssl", "python"])
def command(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A command that keeps its own key: openssl, or a script."""
    if request.param == "openssl" and shutil.which("openssl") is None:
        pytest.skip("there is no openssl on this machine")
    (tmp_path / "kms.key").write_bytes(Fernet.generate_key())
    return script(tmp_path, SCRIPT if request.param == "openssl" else PYTHON)


def calls(tmp_path: Path) -> list[str]:
    return (tmp_path / "calls").read_text().split()


def test_a_command_wraps_the_keys_of_the_file(command: str, tmp_path: Path) -> None:
    path, wrapper = tmp_path / "columns.json", WrapCommand(command)
    make_keys(path, wrapper)
    keys = load_keys(path, wrapper)

    content = json.loads(path.read_text())
    rows = [*content["encryption"], content["index"]]
    assert all(set(row) <= {"id", "suite", "wrapped"} for row in rows)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert add_key(path, wrapper) == "k2"
    later = load_keys(path, wrapper)
    assert (later.newest, later.index) == ("k2", keys.index)
    assert later.encryption["k1"] == keys.encryption["k1"]


def test_data_keys_need_no_call_of_the_command(command: str, tmp_path: Path) -> None:
    path, wrapper = tmp_path / "columns.json", WrapCommand(command)
    make_keys(path, wrapper)
    cipher = ColumnCipher(KeyFile(path, wrapper))
    before = len(calls(tmp_path))
    for _ in range(20):
        key = DataKey.random()
        assert cipher.unwrap(key.id, key.suite.number, cipher.wrap(key)[1]) == key

    assert len(calls(tmp_path)) == before


def test_a_file_in_the_clear_is_wrapped_and_its_keys_stay(command: str, tmp_path: Path) -> None:
    path = tmp_path / "columns.json"
    clear = load_or_make_keys(path)
    with pytest.raises(KeyFileError, match="keys in the clear"):
        load_keys(path, WrapCommand(command))

    assert wrap_file(path, WrapCommand(command)) == 2
    assert load_keys(path, WrapCommand(command)) == clear
    assert wrap_file(path, WrapCommand(command)) == 0
    with pytest.raises(KeyFileError, match="set OIP_KEY_WRAP_COMMAND"):
        load_keys(path)


def test_a_file_of_the_first_form_is_read_and_wrapped(command: str, tmp_path: Path) -> None:
    path = tmp_path / "columns.json"
    keys = load_or_make_keys(path)
    content = json.loads(path.read_text())
    content["index"] = content["index"]["key"]
    del content["encryption"][0]["suite"]
    path.write_text(json.dumps(content))

    assert load_keys(path) == keys
    wrap_file(path, WrapCommand(command))
    assert load_keys(path, WrapCommand(command)) == keys


def test_a_running_service_takes_a_new_key_without_waiting_for_the_command(
    command: str, tmp_path: Path
) -> None:
    path, wrapper = tmp_path / "columns.json", WrapCommand(command)
    make_keys(path, wrapper)
    file = KeyFile(path, wrapper)
    add_key(path, wrapper)

    assert file.current().newest == "k1"
    deadline = time.monotonic() + 20
    while file.current().newest != "k2":
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("#!/bin/sh\nexit 3\n", "ends with code 3"),
        ("#!/bin/sh\nprintf ''\n", "writes nothing"),
        ("#!/bin/sh\nprintf '\\377'\n", "writes no text"),
        ("#!/bin/sh\necho '***'\n", "writes no base64"),
        ("#!/bin/sh\necho AAAA\n", "does not give back what it wrapped"),
        ("#!/bin/sh\nsleep 60\n", "takes more than 0.5 seconds"),
        ("#!/bin/sh\nsleep 60 &\necho AAAA\n", "takes more than 0.5 seconds"),
        ("#!/bin/sh\nexec yes\n", "writes nothing, or more than"),
        ("#!/bin/sh\nexec cat\n", "writes the key as it is"),
        ("#!/nowhere\n", "cannot be started"),
    ],
)
def test_a_command_that_fails_is_named_with_what_it_does(
    tmp_path: Path, text: str, fault: str
) -> None:
    wrapper = WrapCommand(f"{script(tmp_path, text)} --key 'my key'", seconds=0.5)
    with pytest.raises(KeyWrapError, match=fault) as caught:
        make_keys(tmp_path / "columns.json", wrapper)

    assert "OIP_KEY_WRAP_COMMAND" in str(caught.value)
    assert not (tmp_path / "columns.json").exists()


@pytest.mark.parametrize("command", [" ", "'kms", "kms \\"])
def test_a_setting_that_names_no_command_is_refused(command: str) -> None:
    with pytest.raises(KeyWrapError, match="OIP_KEY_WRAP_COMMAND cannot be read as a command"):
        wrapper_of(command)


def test_a_command_that_writes_on_and_on_takes_no_memory(tmp_path: Path) -> None:
    wrapper = WrapCommand(script(tmp_path, "#!/bin/sh\nexec yes\n"), seconds=2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(KeyWrapError):
        wrapper.wrap(bytes(32))

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_without_a_command_keys_stand_in_the_clear(tmp_path: Path) -> None:
    make_keys(tmp_path / "columns.json", wrapper_of(""))

    assert load_keys(tmp_path / "columns.json").newest == "k1"


def test_the_commands_for_key_files_use_the_setting(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "columns.json"
    at = ["--key-file", str(path)]
    run = CliRunner()
    assert run.invoke(app, ["keys", "create", *at]).exit_code == 0
    again = run.invoke(app, ["keys", "create", *at])
    assert again.exit_code == 2
    assert "oip keys new" in again.output
    unset = run.invoke(app, ["keys", "wrap", *at])
    assert unset.exit_code == 2
    assert "OIP_KEY_WRAP_COMMAND" in unset.output

    monkeypatch.setenv("OIP_KEY_WRAP_COMMAND", command)
    wrapped = run.invoke(app, ["keys", "wrap", *at])
    assert wrapped.exit_code == 0, wrapped.output
    assert "2 keys" in wrapped.output
    assert run.invoke(app, ["keys", "new", *at]).exit_code == 0
    assert load_keys(path, WrapCommand(command)).newest == "k2"
