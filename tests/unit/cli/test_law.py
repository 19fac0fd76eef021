"""`oip law`: what people see, and the exit codes that scripts read."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path

import pytest
from oip.type.v1 import type_pb2
from typer.testing import CliRunner, Result

from services.cli.explain import Language, lines
from services.cli.law import ROOT
from services.cli.main import app
from services.cli.parameter_readers import readers_of
from services.kernel.law import Finding, Outcome, ParameterVersion, Provision, Tag, facts
from services.kernel.parameter_check import parameter_files
from services.kernel.parameters import load
from services.runtime.rpc.wire import finding_to_wire


def test_the_law_of_this_repository_passes() -> None:
    result = oip("check", str(ROOT))

    assert result.exit_code == 0
    assert "no fault" in result.stdout


def test_a_fault_is_printed_and_fails(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text('title = "x"\nvalues = []\n', encoding="utf-8")

    result = oip("check", str(tmp_path))

    assert result.exit_code == 1
    assert "broken.toml, unit: the unit is missing" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "no-such-folder"], "There is no folder no-such-folder"),
        (["show", "nothing", "--on", "2025-07-01"], "There is no parameter nothing"),
        (
            ["show", "average_wage", "--on", "2015-01-01"],
            "The parameter average_wage has no value in force on 2015-01-01 in CN",
        ),
        (
            ["show", "average_wage", "--on", "2025-07-01", "--in", "Guangzhou"],
            "Guangzhou is not a place",
        ),
        (
            ["show", "average_wage", "--on", "2025-07-01", "--in", "710100"],
            "The province 710000 is not known",
        ),
        (
            ["show", "average_wage", "--on", "2025-99-01"],
            "2025-99-01 is not a day; write it as 2025-07-01.",
        ),
        (
            ["show", "average_wage", "--on", "2025-07-01", "--known", "2025-W27"],
            "2025-W27 is not a day; write it as 2025-07-01.",
        ),
        (["explain", "tea/leaves"], "tea/leaves cannot be explained"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_2(
    arguments: list[str], words: str
) -> None:
    result = oip(*arguments)

    assert result.exit_code == 2
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_value_is_shown_with_source_and_validity() -> None:
    result = oip("show", "disability_grant_months", "--on", "2025-07-01", "--in", "440100")

    assert result.exit_code == 0
    assert "grade_3" in result.stdout
    assert "23" in result.stdout
    assert "人社厅函〔2025〕79号" in result.stdout


def test_a_value_is_shown_as_it_was_known() -> None:
    early = oip("show", "average_wage", "--on", "2025-02-01", "--known", "2025-03-01")
    late = oip("show", "average_wage", "--on", "2025-02-01", "--in", "440100")

    assert "68340" in early.stdout
    assert "69476" in late.stdout


def test_what_a_place_lacks_and_what_stands_in_for_it_is_named() -> None:
    hebei = oip("missing", "--in", "130100", "--on", "2025-07-01")
    beijing = oip("missing", "--in", "110105", "--on", "2025-07-01")

    assert hebei.exit_code == 0
    assert "kernel/average_wage: the value of CN stands in, provisionally." in hebei.stdout
    assert "kernel/all_employee_wage: no value in force on 2025-07-01 in 130100." in hebei.stdout
    assert "all_employee_wage" not in beijing.stdout
    assert "0 parameters have no value" in beijing.stdout


def test_without_services_the_files_say_what_is_assumed_in_a_province(tmp_path: Path) -> None:
    state = ["--state-dir", str(tmp_path)]
    arguments = [*state, "law", "unconfirmed", "--in", "440000", "--on", "2025-07-31"]

    result = CliRunner().invoke(app, arguments, env={"LANG": "C", "LC_ALL": "C"})

    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    share = "benefits/parameters/set_off_share.toml: set_off_share = 0.50 (CN, from 2022-07-01)"
    at = lines.index(f"{share}, unconfirmed")
    assert "benefits.commands.payment_runs.instruct_payments" in lines[at + 1]
    assert any("hospital_meals_rate = 70 (440300" in line for line in lines)
    assert not any("death_grant_years" in line for line in lines)
    assert re.fullmatch(
        r"\d+ assumed values are not confirmed on 2025-07-31, by the files for 440000, as no stack"
        r" runs\.",
        lines[-2],
    )
    assert "fund_officer" in lines[-1]


@pytest.mark.parametrize(
    "path",
    [path for path in parameter_files(ROOT) if any(v.is_assumed for v in load(path).values)],
    ids=lambda path: path.stem,
)
def test_whatever_is_assumed_and_read_names_its_readers(path: Path) -> None:
    unread = tomllib.loads((ROOT.parent / "docs/not-wired.toml").read_text("utf-8"))["parameters"]

    assert readers_of(path.stem) or path.stem in unread


def test_a_value_that_stands_in_says_for_whom() -> None:
    national = oip("show", "average_wage", "--on", "2025-07-01", "--in", "440100")
    own = oip("show", "minimum_wage", "--on", "2025-07-01", "--in", "110105")

    assert "provisionally, until the value of 440100 is published" in national.stdout
    assert "stands in" not in own.stdout


def test_a_value_that_another_replaces_says_when() -> None:
    result = oip("show", "minimum_wage", "--on", "2025-06-30", "--in", "310115")

    assert "2690" in result.stdout
    assert "before 2025-07-01" in result.stdout


def test_two_parameters_of_one_name_are_told_apart(tmp_path: Path) -> None:
    text = (ROOT / "kernel/parameters/advance_payment_days.toml").read_text(encoding="utf-8")
    for service in ("benefits", "premiums"):
        folder = tmp_path / service / "parameters"
        folder.mkdir(parents=True)
        (folder / "advance_payment_days.toml").write_text(text, encoding="utf-8")
    words = ("--on", "2025-07-01", "--dir", str(tmp_path))

    both = oip("show", "advance_payment_days", *words)
    one = oip("show", "benefits/advance_payment_days", *words)

    assert "premiums/advance_payment_days" in both.stdout
    assert "premiums/advance_payment_days" not in one.stdout


@pytest.mark.parametrize("command", ["check", "show", "names"])
def test_help_shows_no_path_of_the_machine(command: str) -> None:
    assert str(ROOT) not in "".join(oip(command, "--help").stdout.split())


def test_all_parameters_are_listed() -> None:
    assert "grading/grading_standard" in oip("names").stdout


def test_a_finding_is_explained_in_both_languages() -> None:
    text = "\n".join(lines(_finding(), 1, Language.BOTH))

    assert "人社厅函〔2025〕79号 第三十八条 [law]: calculated / 计算" in text
    assert "The grant is 23 months of the base." in text
    assert "一次性伤残补助金为23个月基数。" in text
    assert "disability_grant_months = 23 (since 2025-07-01, CN, 79号 [law])" in text
    assert "347380 fen x 23 = 7989740 fen" in text
    assert "grade = 3" in text


@pytest.mark.parametrize(
    ("language", "shown", "hidden"),
    [
        (Language.EN, "The grant is", "补助金为"),
        (Language.ZH, "补助金为", "The grant is"),
    ],
)
def test_a_finding_is_explained_in_one_language(
    language: Language, shown: str, hidden: str
) -> None:
    text = "\n".join(lines(_finding(), 1, language))

    assert shown in text
    assert hidden not in text


def oip(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["law", *arguments], env={"LANG": "C", "LC_ALL": "C"})


def _finding() -> type_pb2.Finding:
    version = ParameterVersion(
        "disability_grant_months", date(2025, 7, 1), "CN", "23", "79号", Tag.LAW
    )
    return finding_to_wire(
        Finding(
            Provision("人社厅函〔2025〕79号", "第三十八条", Tag.LAW),
            Outcome.CALCULATED,
            "The grant is 23 months of the base.",
            "一次性伤残补助金为23个月基数。",
            inputs=facts(grade=3),
            outputs=facts(amount="7989740 fen"),
            parameters=(version,),
            arithmetic="347380 fen x 23 = 7989740 fen",
        )
    )
