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
from services.client.upload.batches import Batch, split_into_batches
from services.client.upload.mapping import load_mapping
from services.client.upload.orders import orders_of
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


@pytest.fixture
async def desk(pair: Stack, tmp_path: Path) -> Desk:
    desk = Desk(pair, tmp_path)
    desk.mapping()
    await enrol_hints(pair, SWIFT, ["w0", "w1"])
    return desk


class Desk:
    """A platform's engineer with a folder of files."""

    def __init__(self, running: Stack, folder: Path) -> None:
        self.running = running
        self.folder = folder

    def mapping(self, *changes: tuple[str, str]) -> Path:
        text = MAPPING
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = self.folder / "mapping.toml"
        path.write_text(text, encoding="utf-8")
        return path

    def write(self, name: str, hints: str = "AAA", worker: str = "w0", prefix: str = "") -> Path:
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
        path = self.folder / name
        if name.endswith(".csv"):
            texts = [column.cast(pa.string()) for column in table.columns]
            pyarrow.csv.write_csv(pa.table(texts, table.column_names), path)
        else:
            pyarrow.parquet.write_table(table, path)
        return path

    async def push(self, *files: Path, before: tuple[str, ...] = ()) -> Result:
        mapping = self.folder / "mapping.toml"
        arguments = (*before, "orders", "push", *files, "--mapping", mapping)
        return await oip(self.running.settings.state_dir, *arguments)

    def interrupt(self, file: Path, keep: int = 0) -> State:
        """As if the push had ended before all receipts were kept."""
        state = State.model_validate_json(state_path(file).read_bytes())
        state.finished = False
        for platform, receipts in state.done.items():
            state.done[platform] = dict(list(receipts.items())[:keep])
        state.save(file)
        return state

    async def enrol(self, number: str) -> None:
        """One worker more, after the others."""
        async with self.stub(enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment") as enrolment:
            row = pb.EnrolWorkersRequest.Row(
                worker_number=number, document_number=citizen_number(9999)
            )
            answer = await enrolment.EnrolWorkers(
                pb.EnrolWorkersRequest(
                    request_id=f"more-{number}", platform=f"platforms/{SWIFT}", rows=[row]
                )
            )
            assert not answer.rejected_count

    @asynccontextmanager
    async def stub(self, kind: Any, service: str) -> AsyncIterator[Any]:
        channels = self.running.channels("test", "platform", platform=SWIFT)
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


async def test_platforms_whose_codes_end_alike_keep_their_own_rows(desk: Desk) -> None:
    twin = twin_of(SWIFT)
    desk.mapping(('"B" = "' + PEARL, '"B" = "' + twin))
    await enrol_hints(desk.running, twin, ["w0"])
    file = desk.write("twins.parquet", "AAABBBBB")

    result = await desk.push(file)

    assert result.exit_code == 0, result.output
    assert totals(file) == {
        **dict.fromkeys(("received", "created"), 8),
        **dict.fromkeys(("exists", "conflict", "rejected"), 0),
    }
    done = json.loads(state_path(file).read_text())["done"]
    assert {platform: len(own) for platform, own in done.items()} == {SWIFT: 1, twin: 1}


async def test_a_worker_who_was_enrolled_meanwhile_does_not_stop_the_push(desk: Desk) -> None:
    file = desk.write("lost.parquet", worker="newcomer")
    first = await desk.push(file)
    desk.interrupt(file)
    await desk.enrol("newcomer")

    again = await desk.push(file)

    assert (first.exit_code, again.exit_code) == (4, 0), again.output
    assert totals(file) == {"received": 3, "created": 1, "exists": 2, "conflict": 0, "rejected": 0}
    assert rejected(file) == []


async def test_what_has_its_receipt_is_not_sent_again(desk: Desk) -> None:
    file = desk.write("half.parquet", worker="stranger")
    await desk.push(file)
    desk.interrupt(file, keep=1)
    (mark,) = rejected(file)

    again = await desk.push(file)

    assert again.exit_code == 4, again.output
    assert totals(file) == {"received": 3, "created": 2, "exists": 0, "conflict": 0, "rejected": 1}
    assert rejected(file) == [mark]


async def test_a_changed_mapping_is_noticed_and_everything_is_sent_again(desk: Desk) -> None:
    file = desk.write("moved.parquet")
    await desk.push(file)
    desk.interrupt(file, keep=1)
    desk.mapping(('"RIDE_HAILING"', '"INSTANT_DELIVERY"'))

    again = await desk.push(file)

    assert "The mapping of moved.parquet differs from that of the interrupted push" in again.output
    assert again.exit_code == 4, again.output
    assert totals(file)["created"] == 0
    assert totals(file)["conflict"] + totals(file)["rejected"] == 3


async def test_a_batch_that_is_refused_as_a_whole_does_not_stop_the_file(desk: Desk) -> None:
    file = desk.write("both.parquet", "AABB", worker="w0")
    await enrol_hints(desk.running, PEARL, ["w0"])
    read_as = load_mapping(desk.folder / "mapping.toml")
    State.of(file, read_as.digest).save(file)
    run = json.loads(state_path(file).read_text())["run"]
    async with desk.stub(enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment") as enrolment:
        answer = await enrolment.LookUpWorkers(
            pb.LookUpWorkersRequest(platform=f"platforms/{SWIFT}", worker_numbers=["w0"])
        )
    pieces = orders_of(file, read_as, SWIFT)
    orders = [with_workers(piece, {"w0": answer.workers[0]}) for piece in pieces]
    (batch,) = split_into_batches(orders, f"{run}-{SWIFT}")
    (other,) = split_into_batches([table.slice(1) for table in orders], "other")
    async with desk.stub(orders_pb2_grpc.OrderServiceStub, "orders") as stub:
        await upload_orders(stub, SWIFT, [Batch(batch.batch_id, other.content, 1)])

    result = await desk.push(file)

    assert result.exit_code == 4, result.output
    assert "Rows 1 to 2, 2 of " + SWIFT in result.output
    assert "BATCH_ID_REUSED" in result.output
    assert [(one["file_row"], one["status"]) for one in rejected(file)] == [
        ("1", "BATCH_ID_REUSED"),
        ("2", "BATCH_ID_REUSED"),
    ]
    assert totals(file)["created"] == 2
    assert not json.loads(state_path(file).read_text())["finished"]


async def test_a_wrong_token_leaves_the_last_list_of_refused_rows(desk: Desk) -> None:
    file = desk.write("one.parquet", worker="stranger")
    await desk.push(file)
    before = rejected(file)

    refused = await desk.push(file, before=("--token", "abc"))

    assert refused.exit_code == 2
    assert len(before) == 1
    assert rejected(file) == before
    assert [path.name for path in desk.folder.glob("*.draft")] == []


async def test_files_with_the_same_stem_have_their_own_lists(desk: Desk) -> None:
    files = [desk.write("one.parquet", worker="stranger"), desk.write("one.csv")]

    result = await desk.push(*files)

    assert result.exit_code == 4, result.output
    assert [len(rejected(file)) for file in files] == [1, 0]


async def test_a_list_that_cannot_be_written_is_one_sentence_before_anything_is_sent(
    desk: Desk,
) -> None:
    file = desk.write("one.parquet")
    draft = desk.folder / "one.parquet.rejected.csv.draft"
    await asyncio.to_thread(draft.mkdir)

    result = await desk.push(file)

    assert result.exit_code == 2
    assert "one.parquet.rejected.csv cannot be written (Is a directory)" in result.output
    assert "Traceback" not in result.output
    assert totals(file)["received"] == 0


async def test_a_state_that_cannot_be_written_is_one_sentence(desk: Desk) -> None:
    file = desk.write("one.parquet")
    await asyncio.to_thread((desk.folder / "one.parquet.push.json.draft").mkdir)

    result = await desk.push(file)

    assert result.exit_code == 2
    assert "one.parquet.push.json cannot be written (Is a directory)" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("content", ["[]", "{", '{"run": 1}'])
async def test_a_state_that_is_none_is_one_sentence(desk: Desk, content: str) -> None:
    file = desk.write("one.parquet")
    await asyncio.to_thread(state_path(file).write_text, content)

    result = await desk.push(file)

    assert result.exit_code == 2
    (sentence,) = result.output.splitlines()
    assert sentence.endswith(
        "one.parquet.push.json is not the state of a push; move it away to send the file from "
        "its beginning."
    )


async def test_all_files_are_checked_before_the_first_is_sent(desk: Desk) -> None:
    good, bad = desk.write("good.parquet"), desk.folder / "bad.csv"
    await asyncio.to_thread(bad.write_text, "a,b\n1,2\n")

    result = await desk.push(good, bad)

    assert result.exit_code == 2
    assert "The file bad.csv cannot be read as orders: column platform_hint is" in result.output
    assert not state_path(good).exists()


async def test_a_file_without_orders_says_so(desk: Desk) -> None:
    file = desk.write("empty.csv", "")

    result = await desk.push(file)

    assert (result.exit_code, result.output) == (
        0,
        "empty.csv has no orders; nothing was sent.\n",
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["SIGINT", "SIGKILL"])
async def test_a_push_that_is_cut_short_goes_on(desk: Desk, number: signal.Signals) -> None:
    count = 240_000
    file = desk.write("large.parquet", "A" * count)
    mapping, state_dir = desk.folder / "mapping.toml", desk.running.settings.state_dir
    arguments = ("orders", "push", file, "--mapping", mapping)

    async def has_receipts() -> bool:
        return state_path(file).exists() and totals(file)["received"] > 0

    async with command(state_dir, *arguments) as process:
        await until(has_receipts)
        process.send_signal(number)
        output = b"".join(await process.communicate()).decode()
    sent = totals(file)["received"]
    again = await desk.push(file)

    assert process.returncode != 0
    assert "Traceback" not in output
    assert again.exit_code == 0, again.output
    assert 0 < sent < count
    assert totals(file)["received"] == count
    assert rejected(file) == []


async def test_a_file_that_is_changed_while_it_is_sent_is_not_taken_for_sent(desk: Desk) -> None:
    file = desk.write("large.parquet", "A" * 240_000)
    mapping, state_dir = desk.folder / "mapping.toml", desk.running.settings.state_dir

    async def has_receipts() -> bool:
        return state_path(file).exists() and totals(file)["received"] > 0

    async with command(state_dir, "orders", "push", file, "--mapping", mapping) as process:
        await until(has_receipts)
        os.utime(file, (0, 0))
        output = b"".join(await process.communicate()).decode()

    assert process.returncode == 4
    assert "large.parquet was changed while it was sent." in output
    assert not json.loads(state_path(file).read_text())["finished"]
