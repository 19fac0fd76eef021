"""`oip evidence export`: every revision of a claim's orders, unproven statements kept apart."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from services.client.proofs.evidence import verify_file
from services.runtime.base.clock import SystemClock
from services.runtime.rpc.wire import moment_from_wire
from tests.integration.claims.conftest import (
    A,
    at,
    enrol,
    file,
    number_of_id,
    report,
    send,
)
from tests.support import command_line
from tests.support.stack_client import StackClient


async def oip(client: StackClient, *words: str) -> str:
    """The command line; its tokens follow the machine's clock."""
    client.clock.set(SystemClock().now())
    result = await command_line.oip(client.stack.settings.state_dir, *words)
    assert result.exit_code == 0, result.output
    return result.output


async def test_the_file_has_what_the_claim_rests_on_and_what_came_after(
    client: StackClient, tmp_path: Path
) -> None:
    worker = await enrol(client, A)
    order = (client.new_id(), "10:00", "10:40")
    # Far from the batches of other tests, which may not be older than those before.
    client.clock.set(client.clock.now() + timedelta(days=40, minutes=number_of_id(order[0])))
    await send(client, A, worker, order)
    client.clock.set(client.clock.now() + timedelta(minutes=1))
    reported = await report(client, worker, at("10:20"))
    client.clock.set(client.clock.now() + timedelta(minutes=1))
    claim = await file(client, worker, at("10:20"), accident_report=reported.name)
    client.clock.set(client.clock.now() + timedelta(minutes=1))
    await send(client, A, worker, order, revision=2, end_time_us=int(at("10:05").timestamp() * 1e6))
    path = tmp_path / "claim.json"

    shown = await oip(client, "evidence", "export", claim.name, "--out", str(path))
    checked = await oip(client, "evidence", "verify", str(path))

    verified = verify_file(path.read_bytes())
    assert [one.record["revision"] for one in verified.proven] == [1, 2]
    assert [one.unsigned for one in verified.proven] == [
        {"late": False, "named": True},
        {"late": True, "named": False},
    ]
    assert verified.proven[0].record["end_time"] == "2025-07-15T02:40:00+00:00"
    assert verified.unsigned == {
        "claim": claim.name,
        "accident_report": reported.name,
        "accident_time": "2025-07-15T02:20:00+00:00",
        "report_time": moment_from_wire(reported.create_time, "create_time").isoformat(),
    }
    assert "2 proofs written" in shown
    assert "Proven: 2 records" in checked
    assert "Stated, but not proven" in checked
    assert claim.name in checked
