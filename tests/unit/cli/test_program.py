"""The program as a whole: version, options anywhere, languages, Ctrl-C, tokens from a file."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from oip.staff.v1 import staff_pb2
from oip.type.v1 import type_pb2
from typer.testing import CliRunner

from services.cli import archive, main, settlement
from services.cli.connection import EXIT_PIPE_CLOSED, new_request_id
from services.cli.refusals import Refused
from services.cli.status import sentence_of_caller
from services.cli.view import Format, options_first, set_view
from services.kernel.phrases import Language

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


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("statement",), "缺少 MONTH; 用法见 `oip statement --help`。"),
        (
            ("claims", "list", "--colour", "red"),
            "没有选项 --colour; 用法见 `oip claims list --help`。",
        ),
        (("claims", "forget"), "没有命令 forget; 用法见 `oip claims --help`。"),
        (("statement", "2025-07", "x"), "多余的参数: x; 用法见 `oip statement --help`。"),
        (
            ("claims", "list", "--limit", "x"),
            "--limit 的写法有误; 用法见 `oip claims list --help`。",
        ),
        (("evidence", "prove"), "缺少 ORDER; 用法见 `oip evidence prove --help`。"),
    ],
)
def test_what_is_written_wrongly_is_said_in_chinese(
    arguments: tuple[str, ...], sentence: str
) -> None:
    code, said = oip(*arguments, "--language", "zh")

    assert (code, said) == (2, f"{sentence}\n")


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (("--format", "xml", "--language", "zh", "status"), {}),
        (("--format=xml", "--language=zh", "status"), {}),
        (("--format", "xml", "status"), {"LC_ALL": "zh_CN.UTF-8"}),
        (("--format", "xml", "status"), {"OIP_LANGUAGE": "zh"}),
    ],
)
def test_an_option_before_the_command_is_refused_in_chinese(
    arguments: tuple[str, ...], environment: dict[str, str]
) -> None:
    code, said = oip(*arguments, environment=environment)

    assert (code, said) == (
        2,
        "--format 的写法有误, 可选: table、csv、json; 用法见 `oip --help`。\n",
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("law", "names"),
        ("law", "show", "disability_grant_months", "--on", "2025-07-01"),
        ("orders", "mapping", "examples/orders.csv"),
        (
            "orders",
            "check",
            "examples/orders.csv",
            "--offline",
            "--mapping",
            "examples/mapping.toml",
        ),
    ],
    ids=" ".join,
)
def test_output_that_nobody_reads_ends_the_command_without_a_word(
    arguments: tuple[str, ...],
) -> None:
    command = [sys.executable, "-m", "services.cli.main", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()

    assert (process.returncode, said) == (EXIT_PIPE_CLOSED, b"")


def test_a_number_of_rows_below_none_is_refused(tmp_path: Path) -> None:
    code, said = oip("--state-dir", str(tmp_path), "claims", "list", "--limit", "-1")

    assert code == 2
    assert "--limit" in said


ENGLISH = re.compile(r"[A-Za-z]{3,}")
TYPED = re.compile(r"`[^`]*`|[\w-]+\.(csv|json|toml)|[0-9A-Z]{18}|\b[A-Z_]{6,}\b|GCJ-02")


@pytest.mark.parametrize(
    "arguments",
    [
        (
            "orders",
            "check",
            "examples/orders.csv",
            "--offline",
            "--mapping",
            "examples/mapping.toml",
        ),
        ("orders", "check", "few.csv", "--offline", "--mapping", "examples/mapping.toml"),
        ("orders", "mapping", "few.csv", "--out", "draft.toml"),
        ("orders", "push", "few.csv", "--mapping", "无.toml"),
        ("keys", "create", "--key-file", "keys.json"),
        ("keys", "new", "--key-file", "无.json"),
        ("law", "check", "无"),
        ("law", "show", "无", "--on", "2025-07-01"),
        ("law", "show", "disability_grant_months", "--on", "2025-07-01", "--in", "999999"),
        ("law", "missing", "--on", "2025-07-01", "--in", "130000", "--dir", "无"),
    ],
    ids=lambda arguments: " ".join(arguments[:3]),
)
def test_nothing_is_english_in_a_chinese_session(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree("examples", tmp_path / "examples")
    lines = (tmp_path / "examples/orders.csv").read_text(encoding="utf-8").splitlines()[:9]
    wrong = lines[-1].replace("2025/7/1", "7/1").replace("已完成", "做完")
    text = "\n".join([*lines[:-1], wrong])
    (tmp_path / "few.csv").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    _, said = oip(*arguments, "--language", "zh")

    assert re.search("[\u4e00-\u9fff]", said)
    assert not ENGLISH.search(TYPED.sub("", said)), said


@pytest.mark.parametrize("line", ["a", "440100=3", "440100:=3", "=", "440100:RIDE_HAILING="])
def test_a_line_of_totals_that_is_none_is_shown_with_an_example(line: str) -> None:
    arguments = ("orders", "declare", "2025-07-01", "--platform", "x", "--line", line)
    code, said = oip(*arguments)
    _, chinese = oip(*arguments, "--language", "zh")

    assert code == 2
    assert said == (
        f"{line} is not a line; write AREA:INDUSTRY=COUNT, such as 440100:RIDE_HAILING=120.\n"
    )
    assert chinese.startswith(f"{line} 不是一行")


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


@pytest.mark.parametrize(
    "arguments",
    [("register", "Li", "issuer li"), ("invite", "91350100M000100Y43", "Li", "issuer li")],
    ids=lambda arguments: arguments[0],
)
def test_an_identity_number_that_nobody_writes_is_refused(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    command = ("--state-dir", str(tmp_path), "staff", *arguments)

    code, said = oip(*command)
    _, chinese = oip(*command, "--language", "zh")

    assert code == 2
    assert said == (
        "There is no identity number on the standard input; write it there as one line.\n"
    )
    assert chinese == "标准输入中没有证件号码; 请写入一行。\n"


def test_an_archive_that_is_not_received_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        message = "{what}"
        raise Refused(message, message, what="no batches")

    monkeypatch.setattr(archive, "_fetch", refuse)
    to = tmp_path / "july"
    command = ("orders", "archive", "2025-07", "--platform", "x", "--key", "k", "--to", str(to))

    assert oip("--state-dir", str(tmp_path), *command) == (2, "no batches\n")
    assert not to.exists()


def test_a_caller_has_each_role_once_and_by_its_title() -> None:
    roles = [type_pb2.Access.PLATFORM, type_pb2.Access.PLATFORM, type_pb2.Access.ADJUDICATOR]
    member = staff_pb2.StaffMember(
        name="staffMembers/p1",
        display_name="Li",
        grants=[staff_pb2.RoleGrant(role=role) for role in roles],
    )
    member.grants.add(role=type_pb2.Access.APPRAISER, revocation_code=1)

    english = sentence_of_caller(member)
    set_view(Language.ZH, Format.TABLE)
    chinese = sentence_of_caller(member)
    set_view(None, Format.TABLE)

    assert english == "You are staffMembers/p1 (Li): adjudicator, platform."
    assert chinese == "当前人员: staffMembers/p1 (Li): 审核人员、平台企业。"


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
