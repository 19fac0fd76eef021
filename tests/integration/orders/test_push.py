from __future__ import annotations

import asyncio
import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from services.client.files.mapping import load_mapping
from services.client.files.orders import read_orders
from services.runtime.service.stack import Stack
from tests.support.command_line import oip
from tests.support.enrolling import enrol_hints
from tests.support.order_files import MAPPING, orders_table
from tests.support.platforms import PEARL, SWIFT

REAL = Path(__file__).parents[3].parent / "shared" / "data"
TRIPS = Path(__file__).parents[2] / "support" / "trips.toml"


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    path = tmp_path / "mapping.toml"
    path.write_text(MAPPING, encoding="utf-8")
    return path


def held_counts(file: Path) -> Counter[str]:
    state = json.loads(file.with_name(f"{file.name}.push.json").read_text(encoding="utf-8"))
    assert state["finished"]
    total: Counter[str] = Counter()
    for receipts in state["done"].values():
        for one in receipts.values():
            total.update({key: one[key] for key in ("received", "created", "exists", "rejected")})
    return total


async def test_a_file_is_pushed_with_each_refused_row_named(
    pair: Stack, mapping: Path, tmp_path: Path
) -> None:
    file = tmp_path / "orders.parquet"
    pyarrow.parquet.write_table(orders_table(), file)
    await enrol_hints(pair, SWIFT, ["w0", "w1", "w2"])
    await enrol_hints(pair, PEARL, ["w0", "w1"])

    first = await oip(pair.settings.state_dir, "orders", "push", file, "--mapping", mapping)
    once = held_counts(file)
    again = await oip(pair.settings.state_dir, "orders", "push", file, "--mapping", mapping)
    twice = held_counts(file)

    assert (first.exit_code, again.exit_code) == (4, 4), first.output + again.output
    assert once == Counter(received=6, created=4, exists=0, rejected=2)
    assert twice == Counter(received=6, created=0, exists=4, rejected=2)
    with (tmp_path / "orders.parquet.rejected.csv").open(encoding="utf-8") as source:
        rejected = list(csv.DictReader(source))
    assert [(one["file_row"], one["order_no"], one["status"]) for one in rejected] == [
        ("1", "'=t-0", "UNKNOWN_PLACE"),
        ("6", "t-5", "WORKER_NOT_ENROLLED"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("orders.parquet", b"not parquet", "not a valid parquet file"),
        ("orders.txt", b"", ".txt is not one of"),
        ("orders.csv", b"order_no\n1\n", "column platform_hint is missing, from which the mapping"),
        ("missing.csv", None, "cannot be read"),
    ],
)
async def test_a_file_that_is_none_gets_one_sentence_and_exit_code_2(  # noqa: PLR0917 - cases
    pair: Stack, mapping: Path, tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)

    result = await oip(
        pair.settings.state_dir, "orders", "push", tmp_path / name, "--mapping", mapping
    )

    assert result.exit_code == 2
    assert words in result.output
    assert len(result.output.strip().splitlines()) == 1


async def test_an_unknown_key_of_the_mapping_is_named(pair: Stack, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    await asyncio.to_thread(wrong.write_text, 'colour = "red"\n' + MAPPING, encoding="utf-8")

    result = await oip(
        pair.settings.state_dir, "orders", "push", tmp_path / "x.csv", "--mapping", wrong
    )

    assert result.exit_code == 2
    assert "colour is no key of a mapping; remove it" in result.output


def test_all_kinds_of_files_are_read_alike(mapping: Path, tmp_path: Path) -> None:
    table, read_as = orders_table(), load_mapping(mapping)
    pyarrow.parquet.write_table(table, tmp_path / "o.parquet")
    pyarrow.csv.write_csv(table, tmp_path / "o.csv")
    with pa.ipc.new_file(tmp_path / "o.arrow", table.schema) as writer:
        writer.write_table(table)
    with (tmp_path / "o.ndjson").open("w", encoding="utf-8") as sink:
        for one in table.to_pylist():
            one["accepted_at"] = one["accepted_at"].strftime("%Y-%m-%dT%H:%M:%SZ")
            ended = one["completed_at"]
            one["completed_at"] = ended and ended.strftime("%Y-%m-%dT%H:%M:%SZ")
            sink.write(json.dumps(one) + "\n")

    read = {
        kind: read_orders(tmp_path / f"o.{kind}", read_as) for kind in ("csv", "arrow", "ndjson")
    }

    expected = read_orders(tmp_path / "o.parquet", read_as)
    assert expected[SWIFT]["place_of_acceptance"].to_pylist() == [0, 440100, 440100]
    assert expected[PEARL]["state"].to_pylist() == [1, 2, 2]
    for kind, found in read.items():
        for code in (SWIFT, PEARL):
            ours, theirs = found[code].to_pylist(), expected[code].to_pylist()
            for one in (*ours, *theirs):
                one["reason"] = one["reason"] or ""
            assert ours == theirs, kind


@pytest.mark.real_orders
@pytest.mark.skipif(not REAL.exists(), reason="the real order records are not next to the checkout")
async def test_the_real_trips_go_through(pair: Stack, tmp_path: Path) -> None:
    mapping = load_mapping(TRIPS)
    hints: dict[str, list[str]] = {}
    for name in ("orders_sample", "orders_open_sample"):
        shutil.copy(REAL / f"{name}.parquet", tmp_path)
        for platform, table in read_orders(tmp_path / f"{name}.parquet", mapping).items():
            hints.setdefault(platform, []).extend(table["worker_hint"].to_pylist())
    for platform, own in hints.items():
        await enrol_hints(pair, platform, own)

    trips = tmp_path / "orders_sample.parquet"
    result = await oip(pair.settings.state_dir, "orders", "push", trips, "--mapping", TRIPS)

    assert result.exit_code == 4, result.output
    counts = held_counts(trips)
    assert counts["received"] == 34_286
    assert counts["created"] + counts["rejected"] == 34_286
    with (tmp_path / "orders_sample.parquet.rejected.csv").open(encoding="utf-8") as source:
        reasons = Counter(one["status"] for one in csv.DictReader(source))
    assert reasons == {"UNKNOWN_PLACE": 612}
