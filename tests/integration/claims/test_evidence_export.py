"""`oip evidence export`: every revision of a claim's orders, with what is only said kept apart."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from oip.claims.v1 import claims_pb2

from services.client.proofs.evidence import verify_file
from services.runtime.base.clock import SystemClock
from services.runtime.rpc.wire import moment_from_wire, moment_to_wire
from tests.integration.claims.conftest import A, Office, at
from tests.support import command_line


async def oip(office: Office, *words: str) -> str:
    """The command line; its tokens follow the machine's clock."""
    office.clock.set(SystemClock().now())
    result = await command_line.oip(office.stack.settings.state_dir, *words)
    assert result.exit_code == 0, result.output
    return result.output


async def test_the_file_has_what_the_claim_rests_on_and_what_came_after(
    office: Office, tmp_path: Path
) -> None:
    worker = await office.enrol(A)
    order = (office.new_id(), "10:00", "10:40")
    # Far from the batches of other tests, which may not be older than those before.
    office.clock.set(office.clock.now() + timedelta(days=40, minutes=office.count))
    await office.send(A, worker, order)
    office.clock.set(office.clock.now() + timedelta(minutes=1))
    report = await office.claims("worker_agent").ReportAccident(
        claims_pb2.ReportAccidentRequest(
            request_id=office.new_id(),
            worker=f"workers/{worker}",
            accident_time=moment_to_wire(at("10:20")),
            place_of_injury="440106",
            description="Collision.",
        )
    )
    office.clock.set(office.clock.now() + timedelta(minutes=1))
    claim = await office.file(worker, at("10:20"), accident_report=report.name)
    office.clock.set(office.clock.now() + timedelta(minutes=1))
    await office.send(A, worker, order, revision=2, end_time_us=int(at("10:05").timestamp() * 1e6))
    file = tmp_path / "claim.json"

    shown = await oip(office, "evidence", "export", claim.name, "--out", str(file))
    checked = await oip(office, "evidence", "verify", str(file))

    found = verify_file(file.read_bytes())
    assert [one.record["revision"] for one in found.proven] == [1, 2]
    assert [one.unsigned for one in found.proven] == [
        {"late": False, "named": True},
        {"late": True, "named": False},
    ]
    assert found.proven[0].record["end_time"] == "2025-07-15T02:40:00+00:00"
    assert found.unsigned == {
        "claim": claim.name,
        "accident_report": report.name,
        "accident_time": "2025-07-15T02:20:00+00:00",
        "report_time": moment_from_wire(report.create_time, "create_time").isoformat(),
    }
    assert "2 proofs written" in shown
    assert "Proven: 2 records" in checked
    assert "Stated, but not proven" in checked
    assert claim.name in checked
