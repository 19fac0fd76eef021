"""The distribution `oip-client`: a platform pushes a file and proves it, without the server."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.csv
import pytest

from services.orderlog.signer import VERIFIER_FILE
from services.runtime.base.settings import Settings
from tests.support.client_wheel import client_python
from tests.support.databases import Databases
from tests.support.enrolling import enrol_hints
from tests.support.order_files import MAPPING, orders_table
from tests.support.platforms import SWIFT
from tests.support.upload_stack import enrolment_and_orders

# What a platform's engineer writes; arguments: file, mapping, platform, addresses, verifier key.
PROGRAM = """
import asyncio, json, os, sys
from pathlib import Path

from oip_client.channels import Channels
from oip_client.proofs.evidence import evidence_file, verify_file
from oip_client.protos.enrolment.v1 import enrolment_pb2_grpc
from oip_client.protos.orders.v1 import orders_pb2, orders_pb2_grpc
from oip_client.files.mapping import load_mapping
from oip_client.files.orders import orders_of
from oip_client.files.summary import summarise_file
from oip_client.upload.batches import split_into_batches
from oip_client.upload.stream import upload_orders
from oip_client.upload.workers import look_up_workers, with_workers

file, mapping = Path(sys.argv[1]), load_mapping(Path(sys.argv[2]))
platform, addresses, key = sys.argv[3], json.loads(sys.argv[4]), sys.argv[5]


async def main():
    channels = Channels(addresses, lambda: os.environ["TOKEN"])
    enrolment = channels.stub(enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment")
    orders = channels.stub(orders_pb2_grpc.OrderServiceStub, "orders")
    part = summarise_file(file, mapping).parts[platform]
    known = await look_up_workers(enrolment, platform, part.worker_numbers)
    tables = (with_workers(table, known) for table in orders_of(file, mapping, platform))
    (receipt,) = await upload_orders(orders, platform, split_into_batches(tables, run="2025-07-31"))
    order = f"platforms/{platform}/orders/t-2"
    proof = await orders.GetOrderProof(orders_pb2.GetOrderProofRequest(name=order))
    evidence = verify_file(evidence_file(key, [proof]), key)
    await channels.close()
    print(json.dumps({
        "rows": part.row_count,
        "created": receipt.created_count,
        "rejected": [[row.order_no, row.field] for row in receipt.rejections],
        "batch": receipt.name,
        "proven_in": [record.order_batch for record in evidence.proven],
        "proven_orders": [record.record["order_no"] for record in evidence.proven],
    }))


asyncio.run(main())
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return client_python(tmp_path_factory.getbasetemp())


async def run(python: Path, *arguments: object, token: str = "") -> str:
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    process = await asyncio.create_subprocess_exec(
        *(str(python), "-W", "error", *map(str, arguments)),
        env={**environment, "TOKEN": token},
        cwd=python.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    stdout, stderr = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, stderr.decode()
    return stdout.decode()


async def test_every_module_is_there_and_nothing_of_the_server(python: Path) -> None:
    listed = await run(
        python,
        "-c",
        "import importlib.util, json, pkgutil, sys, oip_client\n"
        "names = [m.name for m in pkgutil.walk_packages(oip_client.__path__, 'oip_client.')]\n"
        "[importlib.import_module(name) for name in names]\n"
        "absent = [importlib.util.find_spec(name) is None for name in ('services', 'oip')]\n"
        "servers = {'sqlalchemy', 'nats', 'psycopg', 'alembic', 'typer'} & set(sys.modules)\n"
        "print(json.dumps([names, all(absent), sorted(servers)]))",
    )

    names, is_alone, servers = json.loads(listed)
    assert is_alone
    assert servers == []
    for name in ("upload.stream", "proofs.heads", "orderlog.manifest", "kernel.problems"):
        assert f"oip_client.{name}" in names


async def test_a_program_without_the_extras_reads_csv_and_says_what_a_workbook_needs(
    python: Path, tmp_path: Path
) -> None:
    file, mapping = tmp_path / "orders.csv", tmp_path / "mapping.toml"
    pyarrow.csv.write_csv(orders_table(6), file)
    mapping.write_text(MAPPING, encoding="utf-8")
    (tmp_path / "orders.xlsx").write_bytes(b"PK")

    said = await run(
        python,
        "-c",
        "import sys\n"
        "sys.modules |= dict.fromkeys(('openpyxl', 'ijson', 'shapely', 'numpy'))\n"
        "from pathlib import Path\n"
        "from oip_client.files.faults import Unreadable\n"
        "from oip_client.files.file_reader import rows_of\n"
        "from oip_client.files.mapping import load_mapping\n"
        "mapping = load_mapping(Path(sys.argv[2]))\n"
        "print(sum(table.num_rows for table in rows_of(Path(sys.argv[1]), mapping)))\n"
        "try:\n"
        "    list(rows_of(Path(sys.argv[1]).with_suffix('.xlsx'), mapping))\n"
        "except Unreadable as refusal:\n"
        "    print(refusal)\n",
        file,
        mapping,
    )

    assert said.splitlines() == [
        "6",
        (
            "this kind of file needs a library that is not installed; run pip install "
            "'oip-client[xlsx]'"
        ),
    ]


async def test_a_file_is_pushed_and_proven_through_the_distribution(
    python: Path, stack: Settings, databases: Databases, tmp_path: Path
) -> None:
    file, mapping = tmp_path / "orders.csv", tmp_path / "mapping.toml"
    pyarrow.csv.write_csv(orders_table(6), file)
    mapping.write_text(MAPPING, encoding="utf-8")
    async with enrolment_and_orders(stack, databases) as running:
        await enrol_hints(running, SWIFT, ["w0", "w1", "w2"])
        key = (running.settings.state_dir / VERIFIER_FILE).read_text(encoding="ascii").strip()
        token = running.issuer.issue("engineer", ["platform"], SWIFT, timedelta(minutes=5))
        addresses = json.dumps(dict(running.addresses))

        said: dict[str, Any] = json.loads(
            await run(python, "-c", PROGRAM, file, mapping, SWIFT, addresses, key, token=token)
        )

    assert (said["rows"], said["created"]) == (3, 2)
    assert said["rejected"] == [["=t-0", "place_of_acceptance"]]
    assert said["batch"].startswith(f"platforms/{SWIFT}/orderBatches/2025-07-31-00000-")
    assert (said["proven_in"], said["proven_orders"]) == ([said["batch"]], ["t-2"])
