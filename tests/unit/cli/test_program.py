"""The program as a whole: version, options anywhere, languages, Ctrl-C, tokens from a file."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli import main, settlement
from services.cli.connection import new_request_id
from services.cli.view import options_first

runner = CliRunner()


def oip(*arguments: str, environment: dict[str, str] | None = None) -> tuple[int, str]:
    result = runner.invoke(
        main.app, list(arguments), prog_name="oip", env={"LC_ALL": "C", **(environment or {})}
    )
    return result.exit_code, result.output


def test_the_version_is_that_of_the_distribution() -> None:
    assert oip("--version") == (0, f"oip {metadata.version('oip')}\n")


def test_the_language_is_that_of_the_locale_or_the_option(tmp_path: Path) -> None:
    state = ("--state-dir", str(tmp_path))

    _, english = oip(*state, "statement", "July")
    _, chinese = oip(*state, "statement", "July", environment={"LC_ALL": "zh_CN.UTF-8"})
    _, option = oip(*state, "statement", "July", "--language", "zh")
    _, against = oip(
        *state, "--language", "en", "statement", "July", environment={"LC_ALL": "zh_CN.UTF-8"}
    )

    assert english == against == "July is not a month; write it as 2025-07.\n"
    assert chinese == option == "July 不是月份; 请写作 2025-07。\n"


def test_options_may_stand_anywhere_but_not_after_two_dashes() -> None:
    assert options_first(["claims", "list", "--format", "json", "--language=zh"]) == [
        *("--format", "json", "--language=zh"),
        *("claims", "list"),
    ]
    assert options_first(["a", "--", "--format", "json"]) == ["a", "--", "--format", "json"]
    # Values that are not of these options stay where they are.
    assert options_first(["law", "--language", "both"]) == ["law", "--language", "both"]


def test_a_token_comes_from_a_file_and_an_empty_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n", encoding="ascii")
    state = ("--state-dir", str(tmp_path))

    code, missing = oip(*state, "--token-file", str(tmp_path / "none"), "claims", "show", "c1")
    other, empty = oip(*state, "--token-file", str(tmp_path / "token"), "claims", "show", "c1")

    assert (code, other) == (2, 2)
    assert "cannot be read: there is no such file" in missing
    assert "holds no token" in empty


def test_ctrl_c_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupt(text: str) -> None:
        raise KeyboardInterrupt(text)

    def interrupt_change(text: str) -> None:
        new_request_id("close", "close-17")
        interrupt(text)

    monkeypatch.setattr(settlement, "month_of", interrupt_change)
    code, shown = oip("--state-dir", str(tmp_path), "settlement", "close", "2025-07")

    assert code == 130
    assert "run the same command again to go on" in shown
    assert "--request-id close-17" in shown


def test_completion_knows_the_commands() -> None:
    code, shown = oip(
        environment={
            "_OIP_COMPLETE": "complete_bash",
            "COMP_WORDS": "oip payment",
            "COMP_CWORD": "1",
        }
    )

    assert code == 0
    assert shown.split() == ["payment-runs", "payment-instructions"]


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """A shell passes any byte on; Python keeps one that is no UTF-8 as half a character."""
    state = ("--state-dir", str(tmp_path), "--token", "x")
    for arguments in (["claims", "show", "\udcff"], ["claims", "list", "--columns", "\udcff"]):
        code, said = oip(*state, *arguments)

        assert (code, said.count("\n")) == (2, 1)
        assert "no text in UTF-8" in said


@pytest.mark.parametrize(
    ("variable", "value"), [("OIP_LIMITS__CALLS", "0"), ("OIP_KEY_WRAP_COMMAND", "'kms")]
)
def test_a_setting_that_cannot_be_used_is_one_sentence(
    tmp_path: Path, variable: str, value: str
) -> None:
    key_file = str(tmp_path / "columns.json")
    code, said = oip("keys", "create", "--key-file", key_file, environment={variable: value})

    assert (code, said.count("\n")) == (2, 1)
    assert said.startswith(f"{variable} cannot be")


def test_a_number_beyond_its_field_is_refused(tmp_path: Path) -> None:
    number = str(2**63 - 1)
    code, said = oip(
        *("--state-dir", str(tmp_path), "--token", "x"),
        *("awards", "index", "--cases", number),
    )

    assert (code, said) == (
        2,
        f"{number} is beyond what the field can hold; write a smaller number.\n",
    )
