"""`oip orders mapping`, `check` and `push` on files that are not as they should be."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from services.cli.push_files import rejected_path, state_path
from services.runtime.service.stack import Stack
from tests.support.command_line import Result, oip
from tests.support.enrolling import enrol_hints
from tests.support.order_files import mapping_text, orders_table
from tests.support.platforms import SWIFT

HEADER = ",".join(orders_table(0).column_names)
ROW = "A,{no},{worker},2025-07-10 11:00:00,2025-07-10 12:00:00,-73.99,40.72\n"


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    path = tmp_path / "mapping.toml"
    path.write_text(mapping_text(moments='zone = "Asia/Shanghai"'), encoding="utf-8")
    return path


def write(folder: Path, *rows: str) -> Path:
    path = folder / "orders.csv"
    path.write_text(f"{HEADER}\n{''.join(rows)}", encoding="utf-8")
    return path


async def on(state_dir: Path, command: str, file: Path, mapping: Path, *more: object) -> Result:
    return await oip(state_dir, "orders", command, file, "--mapping", mapping, *more)


async def test_a_wrong_row_is_listed_in_both_languages_and_the_others_are_stored(
    pair: Stack, mapping: Path, tmp_path: Path
) -> None:
    await enrol_hints(pair, SWIFT, ["w0"])
    file = write(
        tmp_path,
        ROW.format(no="L1", worker="w0"),
        ROW.format(no="6.92E+17", worker="w0"),
        ROW.format(no="L2", worker="stranger"),
        "Totals,,,,,,\n",
    )

    pushed = await on(pair.settings.state_dir, "push", file, mapping)

    assert pushed.exit_code == 4, pushed.output
    assert "CUT_NUMBER (order_no): 1" in pushed.output
    assert "UNKNOWN_WORD (platform): 1" in pushed.output
    assert "2 orders have their pooling area from the nearest centre" in pushed.output
    with rejected_path(file).open(encoding="utf-8") as source:
        rejected = list(csv.DictReader(source))
    assert [(row["file_row"], row["status"], row["field"]) for row in rejected] == [
        ("2", "CUT_NUMBER", "order_no"),
        ("4", "UNKNOWN_WORD", "platform"),
        ("3", "WORKER_NOT_ENROLLED", "worker"),
    ]
    assert rejected[0]["text"].startswith("order_no is '6.92E+17': a spreadsheet cut off the digi")
    assert rejected[0]["text_zh"].startswith("订单号的值 '6.92E+17' 已被电子表格截去末尾数字")
    assert rejected[2]["text_zh"] == "请先为该人员在本平台办理参保登记, 再重新报送。"


async def test_a_file_with_too_many_wrong_rows_is_refused_before_anything_is_sent(
    pair: Stack, mapping: Path, tmp_path: Path
) -> None:
    sound = [ROW.format(no=f"M{number}", worker="w0") for number in range(300)]
    file = write(tmp_path, *sound, *[ROW.format(no="", worker="w0")] * 101)

    pushed = await on(pair.settings.state_dir, "push", file, mapping)
    checked = await on(
        pair.settings.state_dir, "check", file, mapping, "--wrong", tmp_path / "wrong.csv"
    )

    assert (pushed.exit_code, checked.exit_code) == (2, 2)
    assert (
        "101 of 401 rows are wrong, more than one in a hundred; the first: row 301: order_no"
        in (pushed.output)
    )
    assert not state_path(file).exists()
    assert "EMPTY_CELL (order_no): 101" in checked.output
    with (tmp_path / "wrong.csv").open(encoding="utf-8") as source:
        assert len(list(csv.DictReader(source))) == 101


async def test_a_check_compares_workers_and_stored_orders_and_sends_nothing(
    pair: Stack, mapping: Path, tmp_path: Path
) -> None:
    await enrol_hints(pair, SWIFT, ["w0", "00042"])
    first = write(tmp_path, ROW.format(no="K1", worker="w0"))
    await on(pair.settings.state_dir, "push", first, mapping)
    file = write(tmp_path, ROW.format(no="K1", worker="w0"), ROW.format(no="K2", worker="42"))

    checked = await on(pair.settings.state_dir, "check", file, mapping)
    again = await on(pair.settings.state_dir, "check", file, mapping)

    assert checked.exit_code == 4, checked.output
    assert "orders.csv: 2 rows, 2 orders, 0 wrong." in checked.output
    assert (
        f"{SWIFT}: 2 workers, 1 not enrolled: 42; of the first 2 orders 1 are stored already."
        in checked.output
    )
    assert "with leading zeros: 42 (00042); a spreadsheet dropped the zeros" in checked.output
    assert again.output == checked.output


async def test_a_check_needs_no_server(mapping: Path, tmp_path: Path) -> None:
    file = write(tmp_path, ROW.format(no="1", worker="w0"))

    alone = await on(tmp_path / "no-stack", "check", file, mapping)
    offline = await on(tmp_path / "no-stack", "check", file, mapping, "--offline")

    assert (alone.exit_code, offline.exit_code) == (0, 0), alone.output
    assert "Workers and stored orders were not compared: There is no development" in alone.output
    assert "not compared" not in offline.output
    assert "Accepted from 2025-07-10 to 2025-07-10" in offline.output


async def test_a_mapping_is_proposed_with_reasons_and_never_overwritten(tmp_path: Path) -> None:
    file = write(tmp_path, ROW.format(no="1", worker="w0"))
    out = tmp_path / "proposed.toml"

    shown = await oip(tmp_path, "orders", "mapping", file)
    written = await oip(tmp_path, "orders", "mapping", file, "--out", out)
    again = await oip(tmp_path, "orders", "mapping", file, "--out", out)
    used = await on(tmp_path, "check", file, out, "--offline")

    assert shown.exit_code == 0
    assert 'accept_time = "accepted_at"  # such as 2025-07-10 11:00:00' in shown.stdout
    assert "Guessed: zone Asia/Shanghai, since the times name none." in shown.stderr
    assert "Fill in words.platform: the credit code behind each name." in shown.stderr
    assert out.read_text(encoding="utf-8") == shown.stdout
    assert written.stdout == ""
    assert (again.exit_code, used.exit_code) == (2, 2)
    assert "exists; name another file" in again.output
    assert "cannot be used: columns.industry" in used.output or "words.platform.A" in used.output


async def test_a_text_of_another_suffix_is_proposed_with_its_format(tmp_path: Path) -> None:
    file = write(tmp_path, ROW.format(no="1", worker="w0")).rename(tmp_path / "orders.txt")

    shown = await oip(tmp_path, "orders", "mapping", file)

    assert 'format = "csv"' in shown.stdout


async def test_a_file_that_no_reader_knows_has_no_proposal(tmp_path: Path) -> None:
    (tmp_path / "orders.pdf").write_bytes(b"%PDF")

    refused = await oip(tmp_path, "orders", "mapping", tmp_path / "orders.pdf")

    assert refused.exit_code == 2
    assert ".pdf is not one of .csv, .tsv, .xlsx" in refused.output
