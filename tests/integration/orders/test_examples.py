"""The files in examples/ do what their page says."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

from oip.enrolment.v1 import enrolment_pb2 as pb
from oip.enrolment.v1 import enrolment_pb2_grpc

from services.cli.push_files import state_path
from services.demo.cases import choose
from services.demo.scenario import from_file
from services.runtime.rpc.wire import date_to_wire
from services.runtime.service.stack import Stack
from tests.support.command_line import oip
from tests.support.enrolling import enrol_hints
from tests.support.platforms import SWIFT

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
ORDERS, MAPPING = EXAMPLES / "orders.csv", EXAMPLES / "mapping.toml"


async def test_the_orders_of_the_enrolled_workers_are_all_stored(
    pair: Stack, tmp_path: Path
) -> None:
    await enrol_hints(pair, SWIFT, [])
    await enrol_listed(pair)
    file = tmp_path / ORDERS.name
    file.write_bytes(ORDERS.read_bytes())

    checked = await oip(pair.settings.state_dir, "orders", "check", file, "--mapping", MAPPING)
    pushed = await oip(pair.settings.state_dir, "orders", "push", file, "--mapping", MAPPING)

    assert (checked.exit_code, pushed.exit_code) == (0, 0), checked.output + pushed.output
    assert f"{SWIFT}: 16 workers, 0 not enrolled" in checked.output
    assert '"created": 128' in state_path(file).read_text(encoding="utf-8")


def test_the_demo_finds_its_cases_in_them() -> None:
    scenario = from_file(ORDERS, MAPPING)

    assert len(choose(scenario.trips(), date(2025, 7, 14))) == 11


async def enrol_listed(stack: Stack) -> None:
    """Enrol the workers of the list."""
    with (EXAMPLES / "workers.csv").open(encoding="utf-8") as source:
        rows = [
            pb.EnrolWorkersRequest.Row(
                worker_number=row["worker_number"],
                document_kind=pb.DocumentKind.Value(row["document_kind"]),
                document_number=row["document_number"],
                phone=row["phone"],
                enrol_date=date_to_wire(date.fromisoformat(row["enrol_date"])),
            )
            for row in csv.DictReader(source)
        ]
    channels = stack.channels("test", "platform", platform=SWIFT)
    try:
        stub = channels.stub(enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment")
        answer = await stub.EnrolWorkers(
            pb.EnrolWorkersRequest(request_id="examples", platform=f"platforms/{SWIFT}", rows=rows)
        )
    finally:
        await channels.close()
    assert not answer.rejected_count, answer.outcomes
