"""Files of orders that are damaged or harmful, as a platform's client reads them."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from openpyxl import Workbook

from services.client.files.faults import OrderFileUnreadable
from services.client.files.order_files import read_rows
from tests.support.killed_orders import until
from tests.support.mutations import MUTATIONS, SEED, mutated
from tests.support.order_files import MAPPING, mapping_of, orders_table

BOMB_ROWS, BOMB_TEXT_BYTES = 200_000, 20_000
ANSWER_SECONDS = 120


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    path = tmp_path / "mapping.toml"
    path.write_text(MAPPING, encoding="utf-8")
    return path


def write(table: pa.Table, file: Path) -> Path:
    """A table as a file of the kind that the suffix says."""
    if file.suffix == ".parquet":
        pyarrow.parquet.write_table(table, file, compression="zstd")
    elif file.suffix == ".csv":
        pyarrow.csv.write_csv(table, file)
    elif file.suffix in {".json", ".ndjson"}:
        lines = [json.dumps(row, default=str) for row in table.to_pylist()]
        whole = file.suffix == ".json"
        file.write_text(f"[{','.join(lines)}]" if whole else "\n".join(lines), encoding="utf-8")
    elif file.suffix == ".xlsx":
        book = Workbook()
        book.active.append(table.column_names)
        for row in table.to_pylist():
            book.active.append([str(value) for value in row.values()])
        book.save(file)
    else:
        with pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    return file


def python(*arguments: object) -> subprocess.CompletedProcess[str]:
    """A program of the project, run to its end."""
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "LANG": "C"},
        capture_output=True,
        text=True,
        timeout=ANSWER_SECONDS,
        check=False,
    )


def push(file: Path, mapping: Path) -> str:
    """`oip orders push` of a file that is refused: the one sentence it ends with."""
    ended = python("services.cli.main", "orders", "push", file, "--mapping", mapping)
    assert (ended.returncode, ended.stdout) == (2, "")
    (sentence,) = ended.stderr.splitlines()
    return sentence


@pytest.mark.parametrize("kind", ["parquet", "arrow", "csv", "ndjson", "json", "xlsx"])
def test_a_file_that_was_changed_at_random_is_read_or_refused_and_breaks_nothing(
    tmp_path: Path, mapping: Path, kind: str
) -> None:
    sys.stdout.write(f"OIP_SEED={SEED}\n")
    file = write(orders_table(50), tmp_path / f"orders.{kind}")

    ended = python("tests.support.mutations", file, mapping)

    assert ended.returncode == 0, ended.stderr
    outcomes = json.loads(ended.stdout)
    sys.stdout.write(f"{outcomes}\n")
    assert outcomes["refused"] + outcomes["read"] == MUTATIONS
    assert outcomes["refused"] > outcomes["read"]


@pytest.mark.parametrize("number", range(3))
def test_the_command_ends_with_one_sentence_on_a_damaged_file(
    tmp_path: Path, mapping: Path, number: int
) -> None:
    file = write(orders_table(50), tmp_path / "orders.parquet")
    content = mutated(file.read_bytes(), random.Random(SEED + number))
    file.write_bytes(content[: len(content) - 1])

    sentence = push(file, mapping)

    assert sentence.startswith("The file orders.parquet cannot be read as orders: ")


def test_a_parquet_bomb_is_refused_before_it_fills_the_memory(
    tmp_path: Path, mapping: Path
) -> None:
    file = write(bomb(), tmp_path / "bomb.parquet")
    assert file.stat().st_size < 20_000

    assert "its content does not fit the memory" in push(file, mapping)


def bomb() -> pa.Table:
    """A column of four gigabytes: one text and its number of repeats."""
    one = orders_table(1)
    columns: dict[str, Any] = {
        name: pa.repeat(one[name][0], BOMB_ROWS) for name in one.column_names
    }
    text = pa.array(["x" * BOMB_TEXT_BYTES])
    indices = pa.repeat(pa.scalar(0, pa.int32()), BOMB_ROWS)
    columns["worker_hint"] = pa.DictionaryArray.from_arrays(indices, text)
    return pa.table(columns)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL], ids=["SIGSEGV", "SIGKILL"])
async def test_a_reader_that_dies_is_one_sentence_for_the_client(
    tmp_path: Path, number: signal.Signals
) -> None:
    # A pipe without a writer: the reader waits for its beginning.
    file = tmp_path / "orders.csv"
    os.mkfifo(file)
    reading = asyncio.create_task(asyncio.to_thread(lambda: list(read_rows(file, mapping_of()))))

    async def is_waiting() -> bool:
        return bool(readers_of(file))

    await until(is_waiting)
    os.kill(readers_of(file)[0], number)

    with pytest.raises(OrderFileUnreadable) as caught:
        await reading
    assert caught.value.sentence == (
        "The file orders.csv cannot be read as orders: "
        f"the program that reads it was stopped by {number.name}."
    )


def readers_of(file: Path) -> list[int]:
    """The processes of ours that were started to read a file."""
    name = str(file).encode()
    return [
        int(pid)
        for task in Path("/proc/self/task").iterdir()
        for pid in (task / "children").read_text(encoding="ascii").split()
        if name in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
