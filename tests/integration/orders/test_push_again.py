"""`oip orders push` when it is repeated, or when something fails."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from oip.enrolment.v1 import enrolment_pb2 as pb
from oip.enrolment.v1 import enrolment_pb2_grpc
from oip.orders.v1 import orders_pb2_grpc

from services.cli.push_files import State, rejected_path, state_path
from services.client.files.mapping import load_mapping
from services.client.files.orders import orders_of
from services.client.upload.batches import Batch, split_into_batches
from services.client.upload.stream import upload_orders
from services.client.upload.workers import with_workers
from services.kernel.identifiers import credit_check
from services.runtime.service.stack import Stack
from tests.support.command_line import Result, command, oip
from tests.support.enrolling import citizen_number, enrol_hints
from tests.support.killed_orders import until
from tests.support.order_files import MAPPING
from tests.support.platforms import PEARL, SWIFT

MOMENT = pa.timestamp("us", tz="UTC")
START_US = 1_357_095_600_000_000  # 2013-01-02 11:00 in Shanghai


@pytest.fixture(autouse=True)
async def ready_to_push(pair: Stack, tmp_path: Path) -> None:
    """A mapping in the folder of the files, and the workers whom they name."""
    write_mapping(tmp_path)
    await enrol_hints(pair, SWIFT, ["w0", "w1"])


def write_mapping(folder: Path, *changes: tuple[str, str]) -> Path:
    text = MAPPING
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "mapping.toml"
    path.write_text(text, encoding="utf-8")
    return path


def write_orders(
    folder: Path, name: str, hints: str = "AAA", worker: str = "w0", prefix: str = ""
) -> Path:
    """A file with an order for each letter, its platform hint; the last has this worker."""
    count = len(hints)
    table = pa.table(
        {
            "platform_hint": list(hints),
            "order_no": [f"{prefix or name}-{number}" for number in range(count)],
            "worker_hint": (["w0"] * count)[1:] + [worker] * bool(count),
            "accepted_at": pa.array([START_US] * count, pa.int64()).cast(MOMENT),
            "completed_at": pa.array([START_US + 10**9] * count, pa.int64()).cast(MOMENT),
            "pickup_lng": [-73.99] * count,
            "pickup_lat": [40.72] * count,
        }
    )
    path = folder / name
    if name.endswith(".csv"):
        texts = [column.cast(pa.string()) for column in table.columns]
        pyarrow.csv.write_csv(pa.table(texts, table.column_names), path)
    else:
        pyarrow.parquet.write_table(table, path)
    return path


async def push(running: Stack, *files: Path, before: tuple[str, ...] = ()) -> Result:
    mapping = files[0].parent / "mapping.toml"
    arguments = (*before, "orders", "push", *files, "--mapping", mapping)
    return await oip(running.settings.state_dir, *arguments)


def interrupt(file: Path, keep: int = 0) -> State:
    """As if the push had ended before all receipts were kept."""
    state = State.model_validate_json(state_path(file).read_bytes())
    state.finished = False
    for platform, receipts in state.done.items():
        state.done[platform] = dict(list(receipts.items())[:keep])
    state.save(file)
    return state


async def enrol(running: Stack, number: str) -> None:
    """One worker more, after the others."""
    async with stub_of(running, enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment") as enrolment:
        row = pb.EnrolWorkersRequest.Row(worker_number=number, document_number=citizen_number(9999))
        answer = await enrolment.EnrolWorkers(
            pb.EnrolWorkersRequest(
                request_id=f"more-{number}", platform=f"platforms/{SWIFT}", rows=[row]
            )
        )
        assert not answer.rejected_count


@asynccontextmanager
async def stub_of(running: Stack, kind: Any, service: str) -> AsyncIterator[Any]:
    channels = running.channels("test", "platform", platform=SWIFT)
    yield channels.stub(kind, service)
    await channels.close()


def totals(file: Path) -> dict[str, int]:
    """The counts of all receipts in the state file."""
    state = State.model_validate_json(state_path(file).read_bytes())
    receipts = [one for own in state.done.values() for one in own.values()]
    names = ("received", "created", "exists", "conflict", "rejected")
    return {name: sum(getattr(one, name) for one in receipts) for name in names}


def rejected(file: Path) -> list[dict[str, str]]:
    with rejected_path(file).open(encoding="utf-8") as source:
        return list(csv.DictReader(source))


def twin_of(code: str) -> str:
    """Another credit code with the same six last characters."""
    letters = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    for one in letters:
        for other in letters:
            body = f"9144010{one}{other}A01{code[-6:-1]}"
            if credit_check(body) == code[-1]:
                return body + code[-1]
    raise AssertionError("there is none")


async def test_platforms_whose_codes_end_alike_keep_their_own_rows(
    pair: Stack, tmp_path: Path
) -> None:
    twin = twin_of(SWIFT)
    write_mapping(tmp_path, ('"B" = "' + PEARL, '"B" = "' + twin))
    await enrol_hints(pair, twin, ["w0"])
    file = write_orders(tmp_path, "twins.parquet", "AAABBBBB")

    result = await push(pair, file)

    assert result.exit_code == 0, result.output
    assert totals(file) == {
        **dict.fromkeys(("received", "created"), 8),
        **dict.fromkeys(("exists", "conflict", "rejected"), 0),
    }
    done = json.loads(state_path(file).read_text())["done"]
    assert {platform: len(own) for platform, own in done.items()} == {SWIFT: 1, twin: 1}


async def test_a_worker_who_was_enrolled_meanwhile_does_not_stop_the_push(
    pair: Stack, tmp_path: Path
) -> None:
    file = write_orders(tmp_path, "lost.parquet", worker="newcomer")
    first = await push(pair, file)
    interrupt(file)
    await enrol(pair, "newcomer")

    again = await push(pair, file)

    assert (first.exit_code, again.exit_code) == (4, 0), again.output
    assert totals(file) == {"received": 3, "created": 1, "exists": 2, "conflict": 0, "rejected": 0}
    assert rejected(file) == []


async def test_what_has_its_receipt_is_not_sent_again(pair: Stack, tmp_path: Path) -> None:
    file = write_orders(tmp_path, "half.parquet", worker="stranger")
    await push(pair, file)
    interrupt(file, keep=1)
    (mark,) = rejected(file)

    again = await push(pair, file)

    assert again.exit_code == 4, again.output
    assert totals(file) == {"received": 3, "created": 2, "exists": 0, "conflict": 0, "rejected": 1}
    assert rejected(file) == [mark]


async def test_a_changed_mapping_is_noticed_and_everything_is_sent_again(
    pair: Stack, tmp_path: Path
) -> None:
    file = write_orders(tmp_path, "moved.parquet")
    await push(pair, file)
    interrupt(file, keep=1)
    write_mapping(tmp_path, ('"RIDE_HAILING"', '"INSTANT_DELIVERY"'))

    again = await push(pair, file)

    assert "The mapping of moved.parquet differs from that of the interrupted push" in again.output
    assert again.exit_code == 4, again.output
    assert totals(file)["created"] == 0
    assert totals(file)["conflict"] + totals(file)["rejected"] == 3


async def test_a_batch_that_is_refused_as_a_whole_does_not_stop_the_file(
    pair: Stack, tmp_path: Path
) -> None:
    file = write_orders(tmp_path, "both.parquet", "AABB", worker="w0")
    await enrol_hints(pair, PEARL, ["w0"])
    read_as = load_mapping(tmp_path / "mapping.toml")
    State.of(file, read_as.digest).save(file)
    run = json.loads(state_path(file).read_text())["run"]
    async with stub_of(pair, enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment") as enrolment:
        answer = await enrolment.LookUpWorkers(
            pb.LookUpWorkersRequest(platform=f"platforms/{SWIFT}", worker_numbers=["w0"])
        )
    pieces = orders_of(file, read_as, SWIFT)
    orders = [with_workers(piece, {"w0": answer.workers[0]}) for piece in pieces]
    (batch,) = split_into_batches(orders, f"{run}-{SWIFT}")
    (other,) = split_into_batches([table.slice(1) for table in orders], "other")
    async with stub_of(pair, orders_pb2_grpc.OrderServiceStub, "orders") as stub:
        await upload_orders(stub, SWIFT, [Batch(batch.batch_id, other.content, 1)])

    result = await push(pair, file)

    assert result.exit_code == 4, result.output
    assert "Rows 1 to 2, 2 of " + SWIFT in result.output
    assert "BATCH_ID_REUSED" in result.output
    assert [(one["file_row"], one["status"]) for one in rejected(file)] == [
        ("1", "BATCH_ID_REUSED"),
        ("2", "BATCH_ID_REUSED"),
    ]
    assert totals(file)["created"] == 2
    assert not json.loads(state_path(file).read_text())["finished"]


async def test_a_wrong_token_leaves_the_last_list_of_refused_rows(
    pair: Stack, tmp_path: Path
) -> None:
    file = write_orders(tmp_path, "one.parquet", worker="stranger")
    await push(pair, file)
    before = rejected(file)

    refused = await push(pair, file, before=("--token", "abc"))

    assert refused.exit_code == 2
    assert len(before) == 1
    assert rejected(file) == before
    assert await asyncio.to_thread(lambda: list(tmp_path.glob("*.draft"))) == []


async def test_files_with_the_same_stem_have_their_own_lists(pair: Stack, tmp_path: Path) -> None:
    files = [
        write_orders(tmp_path, "one.parquet", worker="stranger"),
        write_orders(tmp_path, "one.csv"),
    ]

    result = await push(pair, *files)

    assert result.exit_code == 4, result.output
    assert [len(rejected(file)) for file in files] == [1, 0]


async def test_a_list_that_cannot_be_written_is_one_sentence_before_anything_is_sent(
    pair: Stack,
    tmp_path: Path,
) -> None:
    file = write_orders(tmp_path, "one.parquet")
    draft = tmp_path / "one.parquet.rejected.csv.draft"
    await asyncio.to_thread(draft.mkdir)

    result = await push(pair, file)

    assert result.exit_code == 2
    assert "one.parquet.rejected.csv cannot be written: it is a folder" in result.output
    assert "Traceback" not in result.output
    assert totals(file)["received"] == 0


async def test_a_state_that_cannot_be_written_is_one_sentence(pair: Stack, tmp_path: Path) -> None:
    file = write_orders(tmp_path, "one.parquet")
    await asyncio.to_thread((tmp_path / "one.parquet.push.json.draft").mkdir)

    result = await push(pair, file)

    assert result.exit_code == 2
    assert "one.parquet.push.json cannot be written: it is a folder" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("content", ["[]", "{", '{"run": 1}'])
async def test_a_state_that_is_none_is_one_sentence(
    pair: Stack, tmp_path: Path, content: str
) -> None:
    file = write_orders(tmp_path, "one.parquet")
    await asyncio.to_thread(state_path(file).write_text, content)

    result = await push(pair, file)

    assert result.exit_code == 2
    (sentence,) = result.output.splitlines()
    assert sentence.endswith(
        "one.parquet.push.json is not the state of a push; move it away to send the file from "
        "its beginning."
    )


async def test_all_files_are_checked_before_the_first_is_sent(pair: Stack, tmp_path: Path) -> None:
    good, bad = write_orders(tmp_path, "good.parquet"), tmp_path / "bad.csv"
    await asyncio.to_thread(bad.write_text, "a,b\n1,2\n")

    result = await push(pair, good, bad)

    assert result.exit_code == 2
    assert "The file bad.csv cannot be read as orders: column platform_hint is" in result.output
    assert not state_path(good).exists()


async def test_a_file_without_orders_says_so(pair: Stack, tmp_path: Path) -> None:
    file = write_orders(tmp_path, "empty.csv", "")

    result = await push(pair, file)

    assert (result.exit_code, result.output) == (
        0,
        "empty.csv has no orders; nothing was sent.\n",
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["SIGINT", "SIGKILL"])
async def test_a_push_that_is_cut_short_goes_on(
    pair: Stack, tmp_path: Path, number: signal.Signals
) -> None:
    count = 240_000
    file = write_orders(tmp_path, "large.parquet", "A" * count)
    mapping, state_dir = tmp_path / "mapping.toml", pair.settings.state_dir
    arguments = ("orders", "push", file, "--mapping", mapping)

    async def has_receipts() -> bool:
        return state_path(file).exists() and totals(file)["received"] > 0

    async with command(state_dir, *arguments) as process:
        await until(has_receipts)
        process.send_signal(number)
        output = b"".join(await process.communicate()).decode()
    sent = totals(file)["received"]
    again = await push(pair, file)

    assert process.returncode != 0
    assert "Traceback" not in output
    assert again.exit_code == 0, again.output
    assert 0 < sent < count
    assert totals(file)["received"] == count
    assert rejected(file) == []


async def test_a_file_that_is_changed_while_it_is_sent_is_not_taken_for_sent(
    pair: Stack, tmp_path: Path
) -> None:
    file = write_orders(tmp_path, "large.parquet", "A" * 240_000)
    mapping, state_dir = tmp_path / "mapping.toml", pair.settings.state_dir

    async def has_receipts() -> bool:
        return state_path(file).exists() and totals(file)["received"] > 0

    async with command(state_dir, "orders", "push", file, "--mapping", mapping) as process:
        await until(has_receipts)
        os.utime(file, (0, 0))
        output = b"".join(await process.communicate()).decode()

    assert process.returncode == 4
    assert "large.parquet was changed while it was sent." in output
    assert not json.loads(state_path(file).read_text())["finished"]
