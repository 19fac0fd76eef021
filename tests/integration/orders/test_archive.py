"""A month out of the database: the archive answers as the service does, and shows every change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from oip.orders.v1 import orders_pb2 as pb
from oip.type.v1 import type_pb2

from services.client.proofs.archive import MANIFEST, check_folder, read_archive
from services.client.proofs.archive_proofs import prove_from
from services.client.proofs.archive_writer import write_archive
from services.client.proofs.evidence import evidence_file, verify_file
from services.kernel.periods import Month, civil_day
from services.kernel.problems import NotFound
from services.orderlog.manifest import Archive, ArchiveBroken, ArchivedFile, LoggedBatch
from services.runtime.base.clock import SystemClock
from services.runtime.base.settings import Settings
from tests.support import command_line
from tests.support.databases import Databases
from tests.support.platforms import PEARL, SWIFT
from tests.support.stack_client import StackClient
from tests.support.uploads import (
    NOW,
    as_rows,
    execute,
    orders_client,
    problem_in,
    row,
    upload_one,
    verifier_key,
    violations,
)

LATER = datetime(2025, 9, 1, 1, 0, tzinfo=UTC)
MONTH = type_pb2.Month(year=2025, month=8)
ODD = ("null", "NA", 'a,"b"', "雨-2", "=1+1", "\\N", "\\.")


async def fetch(client: StackClient, folder: Path, platform: str = SWIFT) -> Archive:
    asked = pb.GetOrderArchiveRequest(platform=f"platforms/{platform}", month=MONTH)
    parts = client.orders("administrator").GetOrderArchive(asked, timeout=60)
    return await write_archive(parts, new_folder(folder), verifier_key(client))


def new_folder(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.fixture
def client(new_client: StackClient) -> StackClient:
    """A separate service, for tests that change the day."""
    return new_client


@pytest.fixture(scope="module")
async def filled(stack: Settings, databases: Databases) -> AsyncIterator[StackClient]:
    """A batch in July, five in August of which one stores nothing, one in September."""
    async with orders_client(stack, databases) as client:
        client.clock.set(datetime(2025, 7, 31, 15, 59, 59, tzinfo=UTC))
        await upload_one(client, as_rows("july", [row("o-1", state=pb.ACCEPTED, ended=None)]))
        client.clock.set(NOW)
        await upload_one(
            client, as_rows("a1", [row("o-1", revision=2), *(row(f"a-{n}") for n in "xyz")])
        )
        await upload_one(client, as_rows("a2", [row(number) for number in ODD]))
        await upload_one(client, as_rows("a3", [row("a-x"), row("a-y")]))
        mixed = [row("a-x"), row("m-1"), row("bad", worker=77), row("m-2"), row("m-3")]
        await upload_one(client, as_rows("a4", mixed))
        reversal = row("m-1", revision=2, state=pb.REVERSED, reason='测试, "two" parts')
        await upload_one(client, as_rows("a5", [reversal]))
        client.clock.set(LATER)
        await upload_one(client, as_rows("september", [row("o-1", revision=3)]))
        yield client


@pytest.fixture(scope="module")
async def folder(filled: StackClient, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """August, archived on the first of September."""
    path = tmp_path_factory.mktemp("archive") / "2025-08"
    await fetch(filled, path)
    return path


async def test_an_archive_holds_the_batches_of_its_month_and_no_others(folder: Path) -> None:
    archive = check_folder(folder)

    names = [batch.name.rpartition("/")[2] for batch in archive.batches]
    assert names == ["a1", "a2", "a3", "a4", "a5"]
    assert [batch.leaf_count for batch in archive.batches] == [4, 7, 0, 3, 1]
    assert archive.row_count == 15
    assert archive.before is not None
    assert archive.after is not None
    assert archive.before.name.endswith("/july")
    assert archive.after.name.endswith("/september")


async def test_the_archive_makes_the_evidence_file_that_the_service_makes(
    filled: StackClient, folder: Path
) -> None:
    key, stub = verifier_key(filled), filled.orders("adjudicator")
    orders = [("o-1", 2), ("a-z", 0), ("m-1", 1), ("m-1", 0), ("m-3", 0), *((n, 0) for n in ODD)]

    for number, revision in orders:
        name = f"platforms/{SWIFT}/orders/{number}"
        asked = pb.GetOrderProofRequest(name=name, revision=revision)
        served = await stub.GetOrderProof(asked)
        proof = prove_from([folder], name, revision)

        assert proof == served
        content = evidence_file(key, [proof])
        assert content == evidence_file(key, [served])
        assert verify_file(content, key).proven[0].record["order_no"] == number


async def test_a_proof_from_the_archive_holds_after_the_log_has_grown_and_rows_are_gone(
    stack: Settings, databases: Databases, tmp_path: Path
) -> None:
    async with orders_client(stack, databases) as client:
        await upload_one(client, as_rows("b1", [row("o-1"), row("o-2")]))
        client.clock.set(LATER)
        await fetch(client, tmp_path / "first")
        await upload_one(client, as_rows("b2", [row("o-3")]))
        await execute(client, "set session_replication_role = replica; delete from orders.orders")

        proof = prove_from([tmp_path / "first"], f"platforms/{SWIFT}/orders/o-2")
        head = await client.orders("administrator").GetLogConsistency(
            pb.GetLogConsistencyRequest(platform=f"platforms/{SWIFT}", first_size=1)
        )

        assert verify_file(evidence_file(verifier_key(client), [proof]), verifier_key(client))
        assert proof.checkpoint.log_size == 1
        assert head.first_root == proof.checkpoint.root


async def test_a_record_that_is_in_no_archive_is_not_proven(folder: Path) -> None:
    with pytest.raises(NotFound):
        prove_from([folder], f"platforms/{SWIFT}/orders/o-1", 3)
    with pytest.raises(NotFound):
        prove_from([folder], f"platforms/{PEARL}/orders/o-1")


async def test_the_latest_revision_is_found_over_several_archives(
    filled: StackClient, folder: Path, tmp_path: Path
) -> None:
    filled.clock.set(datetime(2025, 10, 1, 1, 0, tzinfo=UTC))
    later = tmp_path / "september"
    asked = pb.GetOrderArchiveRequest(
        platform=f"platforms/{SWIFT}", month=type_pb2.Month(year=2025, month=9)
    )
    stub = filled.orders("administrator")
    await write_archive(
        stub.GetOrderArchive(asked, timeout=60), new_folder(later), verifier_key(filled)
    )

    name = f"platforms/{SWIFT}/orders/o-1"
    assert prove_from([later, folder], name).record.row.revision == 3
    assert prove_from([later, folder], name, 2).record.row.revision == 2


def test_any_changed_byte_is_found(folder: Path, tmp_path: Path) -> None:
    names = [MANIFEST, "orders-0000.parquet"]
    held = {name: (folder / name).read_bytes() for name in names}
    for name, content in held.items():
        for other in names:
            (tmp_path / other).write_bytes(held[other])
        for place in [*range(0, len(content), 97), len(content) - 1]:
            changed = content[:place] + bytes((content[place] ^ 1,)) + content[place + 1 :]
            (tmp_path / name).write_bytes(changed)
            with pytest.raises(ArchiveBroken):
                check_folder(tmp_path)
            with pytest.raises((ArchiveBroken, NotFound)):
                prove_from([tmp_path], f"platforms/{SWIFT}/orders/a-x")
        for changed in (content[:-1], content + b"\n", b""):
            (tmp_path / name).write_bytes(changed)
            with pytest.raises(ArchiveBroken):
                check_folder(tmp_path)


def rewritten(folder: Path, target: Path, change: Callable[[Archive], Archive]) -> None:
    """A forger's archive: the manifest changed and its digest recomputed."""
    target.mkdir()
    archive = change(read_archive(folder))
    for file in archive.files:
        (target / file.name).write_bytes((folder / file.name).read_bytes())
    (target / MANIFEST).write_bytes(archive.manifest())


def without(place: int) -> Callable[[Archive], Archive]:
    def change(archive: Archive) -> Archive:
        left = archive.batches[:place] + archive.batches[place + 1 :]
        return replace(archive, batches=left)

    return change


def batch_changed(**changes: object) -> Callable[[Archive], Archive]:
    def change(archive: Archive) -> Archive:
        first: LoggedBatch = replace(archive.batches[0], **changes)  # type: ignore[arg-type]
        return replace(archive, batches=(first, *archive.batches[1:]))

    return change


FORGERIES: dict[str, tuple[Callable[[Archive], Archive], str]] = {
    "a batch left out": (without(2), "missing between"),
    "the month cut short at its end": (
        lambda one: replace(one, batches=one.batches[:-1], after=None),
        "came after the month",
    ),
    "the first batch kept back": (
        lambda one: replace(one, batches=one.batches[1:], before=one.batches[0]),
        "not those of 2025-08",
    ),
    "another month": (lambda one: replace(one, month=one.month.plus(1)), "not those of 2025-09"),
    "another platform": (lambda one: replace(one, platform=PEARL), f"log of {PEARL}"),
    "a batch backdated": (
        batch_changed(create_time=NOW - timedelta(hours=1)),
        "does not lie in the log",
    ),
    "a root of its own": (batch_changed(root=bytes(32)), "does not lie in the log"),
    "a row uncounted": (batch_changed(leaf_count=3), "does not lie in the log"),
    "a larger head": (
        lambda one: replace(one, checkpoint=one.checkpoint.replace("\n7\n", "\n8\n")),
        "signature",
    ),
}


@pytest.mark.parametrize(("change", "words"), FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forged_manifest_is_found(
    folder: Path, tmp_path: Path, change: Callable[[Archive], Archive], words: str
) -> None:
    rewritten(folder, tmp_path / "forged", change)

    with pytest.raises(ArchiveBroken, match=words):
        check_folder(tmp_path / "forged")


def forged_rows(folder: Path, target: Path, forge: Callable[[pq.ParquetFile], object]) -> None:
    """Rows changed with care: the digests of the file and of the manifest are recomputed."""
    target.mkdir()
    archive = read_archive(folder)
    (file,) = archive.files
    with pq.ParquetFile(folder / file.name) as source:
        pq.write_table(forge(source), target / file.name)
    content = (target / file.name).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    forged: ArchivedFile = replace(file, sha256=digest, byte_count=len(content))
    (target / MANIFEST).write_bytes(replace(archive, files=(forged,)).manifest())


def edited(source: pq.ParquetFile) -> object:
    table = source.read()
    return table.set_column(3, "worker", pc.add(table["worker"], 1))


def reordered(source: pq.ParquetFile) -> object:
    table = source.read()
    return table.take([1, 0, *range(2, table.num_rows)])


@pytest.mark.parametrize("forge", [edited, reordered])
def test_forged_rows_do_not_give_their_root(
    folder: Path, tmp_path: Path, forge: Callable[[pq.ParquetFile], object]
) -> None:
    forged_rows(folder, tmp_path / "forged", forge)

    with pytest.raises(ArchiveBroken, match="a1 do not give its root"):
        check_folder(tmp_path / "forged")
    with pytest.raises(ArchiveBroken, match="a1 do not give its root"):
        prove_from([tmp_path / "forged"], f"platforms/{SWIFT}/orders/a-x")


def test_an_archive_of_another_key_is_refused(folder: Path) -> None:
    with pytest.raises(ArchiveBroken, match="another key"):
        check_folder(folder, "oip/440000/orders+00000000+AAAA")


async def refusal(client: StackClient, **changes: object) -> tuple[str, str]:
    asked = pb.GetOrderArchiveRequest(platform=f"platforms/{SWIFT}", month=MONTH)
    asked.MergeFrom(pb.GetOrderArchiveRequest(**changes))  # type: ignore[arg-type]
    with pytest.raises(grpc.RpcError) as refused:
        async for _ in client.orders("administrator").GetOrderArchive(asked, timeout=30):
            pass
    from grpc_status import rpc_status

    _, reason, sentence = problem_in(rpc_status.from_call(refused.value))
    return reason, sentence


async def test_a_month_is_not_archived_before_it_is_over(client: StackClient) -> None:
    await upload_one(client, as_rows("b1", [row("o-1")]))

    for moment in (NOW, datetime(2025, 8, 31, 16, 59, tzinfo=UTC)):
        client.clock.set(moment)
        assert (await refusal(client))[0] == "MONTH_NOT_OVER"


async def test_a_month_without_batches_is_refused(client: StackClient) -> None:
    client.clock.set(LATER)
    assert (await refusal(client))[0] == "NOTHING_TO_ARCHIVE"


async def test_records_changed_in_the_database_make_no_archive(
    client: StackClient, tmp_path: Path
) -> None:
    await upload_one(client, as_rows("b1", [row("o-1"), row("o-2")]))
    client.clock.set(LATER)
    await execute(
        client, "set session_replication_role = replica; update orders.orders set worker = 2"
    )

    with pytest.raises(ArchiveBroken, match="b1 do not give its root"):
        await fetch(client, tmp_path / "broken")
    assert not (tmp_path / "broken" / MANIFEST).exists()


async def test_only_an_administrator_archives_and_nothing_is_deleted(
    filled: StackClient, folder: Path
) -> None:
    asked = pb.GetOrderArchiveRequest(platform=f"platforms/{SWIFT}", month=MONTH)
    for role in ("platform", "fund_officer", "adjudicator"):
        stub = filled.orders(role, platform=SWIFT if role == "platform" else "")
        with pytest.raises(grpc.RpcError) as refused:
            async for _ in stub.GetOrderArchive(asked, timeout=30):
                pass
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert await violations(filled) == []
    assert (folder / MANIFEST).exists()


def same(first: str, second: str) -> bool:
    return Path(first).read_bytes() == Path(second).read_bytes()


async def test_the_command_line_archives_verifies_and_proves(
    client: StackClient, tmp_path: Path
) -> None:
    # The command line signs its tokens by the machine's clock.
    now = SystemClock().now()
    month = str(Month.of(civil_day(now - timedelta(days=40))))
    client.clock.set(now - timedelta(days=40))
    await upload_one(client, as_rows("b1", [row(f"o-{number}") for number in range(15)]))
    client.clock.set(now)
    state = client.stack.settings.state_dir
    order = f"platforms/{SWIFT}/orders/o-7"

    async def oip(*words: str) -> tuple[int, str]:
        done = await command_line.oip(state, *words)
        return done.exit_code, done.output

    to, served, kept = (str(tmp_path / name) for name in ("archive", "served", "kept"))
    code, output = await oip("orders", "archive", month, "--platform", SWIFT, "--to", to)
    assert (code, "15" in output) == (0, True), output
    code, output = await oip("orders", "archive", month, "--platform", SWIFT, "--to", to)
    assert (code, "not empty" in output) == (2, True), output
    code, output = await oip("orders", "verify-archive", to, "--key", verifier_key(client))
    assert (code, "is valid under this key" in output) == (0, True), output
    assert (await oip("evidence", "prove", order, "--out", served))[0] == 0
    assert (await oip("evidence", "prove", order, "--archive", to, "--out", kept))[0] == 0
    assert same(served, kept)
    assert (await oip("evidence", "verify", kept, "--key", verifier_key(client)))[0] == 0

    held = json.loads((tmp_path / "archive" / MANIFEST).read_text(encoding="utf-8"))
    held["month"] = "2025-06"
    (tmp_path / "archive" / MANIFEST).write_text(json.dumps(held), encoding="utf-8")
    code, output = await oip("orders", "verify-archive", to)
    assert (code, "was changed" in output) == (2, True), output
