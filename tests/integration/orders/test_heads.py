"""Kept heads against today's log: `oip evidence checkpoints`, `consistency`."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.cli.evidence import content_of
from services.client.proofs.heads import LogRewritten, verify_growth
from services.orderlog.signer import KEY_FILE, VERIFIER_FILE
from services.runtime.base.clock import SystemClock
from tests.support import command_line
from tests.support.command_line import Result
from tests.support.platforms import SWIFT
from tests.support.stack_client import StackClient
from tests.support.uploads import as_rows, execute, row, upload_one


def own_key(client: StackClient) -> str:
    return (client.stack.settings.state_dir / VERIFIER_FILE).read_text(encoding="ascii").strip()


UNGUARDED = "set session_replication_role = replica;"


async def oip(client: StackClient, *words: object) -> Result:
    return await command_line.oip(client.stack.settings.state_dir, "evidence", *words)


@pytest.fixture
def client(new_client: StackClient) -> StackClient:
    """A separate service, because the day is that of the machine's clock."""
    return new_client


@pytest.fixture
async def kept(client: StackClient, tmp_path: Path) -> Path:
    """A log of three batches, its head kept, and then two more."""
    # The command line signs its tokens by the machine's clock.
    client.clock.set(SystemClock().now())
    for number in range(5):
        if number == 3:
            shown = await oip(client, "checkpoints", SWIFT, "--out", tmp_path / "head.txt")
            assert shown.exit_code == 0, shown.output
            assert "The head at 3 is in" in shown.output
        await upload_one(client, as_rows(f"b{number}", [row(f"o-{number}")]))
    return tmp_path / "head.txt"


async def test_a_kept_head_is_contained_in_the_log_of_today(
    client: StackClient, kept: Path
) -> None:
    proof = kept.with_name("grown.json")

    asked = await oip(client, "consistency", kept, "--out", proof)
    offline = await oip(client, "consistency", kept, "--proof", proof, "--key", own_key(client))
    twice = await oip(client, "consistency", kept, as_mailed(kept))

    for one in (asked, offline, twice):
        assert one.exit_code == 0, one.output
        assert "the log of 5 batches contains the head at 3" in one.output


def as_mailed(kept: Path) -> Path:
    """The same head with the line ends of another system, and none at the end."""
    mailed = kept.with_name("mailed.txt")
    mailed.write_bytes(kept.read_bytes().rstrip().replace(b"\n", b"\r\n"))
    return mailed


async def test_a_log_that_was_cut_says_so(client: StackClient, kept: Path) -> None:
    await execute(
        client,
        UNGUARDED + "delete from orders.checkpoint where log_size > 2;"
        " delete from orders.log_node where level = 0 and position > 1;"
        " update orders.order_log set log_size = 2, frontier ="
        " (select hash from orders.log_node where level = 1 and position = 0);"
        " delete from orders.order_batch where log_index > 1",
    )
    proof = kept.with_name("cut.json")

    told = await oip(client, "consistency", kept, "--out", proof)

    assert told.exit_code == 2
    assert "it had 3 batches, and has 2 today" in told.stderr
    with pytest.raises(LogRewritten):
        verify_growth(content_of(proof), [own_key(client)], content_of(kept).decode())


async def test_a_log_that_was_written_anew_says_so(client: StackClient, kept: Path) -> None:
    """Everything was removed; the operator, who has the key, sends other batches."""
    tables = ("orders", "order_batch", "order_tally", "checkpoint", "log_node", "order_log")
    await execute(client, UNGUARDED + "; ".join(f"delete from orders.{one}" for one in tables))

    gone = await oip(client, "consistency", kept)
    for number in range(4):
        await upload_one(client, as_rows(f"n{number}", [row(f"n-{number}")]))
    anew = await oip(client, "consistency", kept)

    assert gone.exit_code == anew.exit_code == 2
    assert "the log was removed" in gone.stderr
    assert "its head at 4 does not contain the one at 3" in anew.stderr


async def test_a_head_of_another_key_or_of_nobody_is_refused(
    client: StackClient, kept: Path
) -> None:
    nobody = kept.with_name("nobody.txt")
    nobody.write_bytes(b"\xff\x00 no note")

    for path, words in ((nobody, "cannot be opened"), (kept.with_name("none"), "cannot be read")):
        told = await oip(client, "consistency", path)
        assert told.exit_code == 2
        assert words in told.stderr


async def test_the_verifier_key_is_printed_from_the_private_one(client: StackClient) -> None:
    folder = client.stack.settings.state_dir

    told = await oip(client, "key", folder / KEY_FILE)
    wrong = await oip(client, "key", folder / VERIFIER_FILE)

    assert told.output == (folder / VERIFIER_FILE).read_text(encoding="ascii")
    assert wrong.exit_code == 2
