"""The example in Java, compiled with Debian's packages where they are, sends a day of orders."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from services.runtime.base.settings import Settings
from tests.support.databases import Databases
from tests.support.enrolling import enrol_hints
from tests.support.platforms import SWIFT
from tests.support.upload_stack import enrolment_and_orders
from tools.protos import site_packages, well_known

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "examples" / "java"
JARS = Path("/usr/share/java")
PROGRAMS = ("javac", "java", "protoc", "grpc_java_plugin")
LIBRARIES = ("grpc-netty", "grpc-protobuf", "protobuf", "netty-codec-http2", "gson", "perfmark-api")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]
MISSING += [name for name in LIBRARIES if not (JARS / f"{name}.jar").exists()]
UPLOAD_LINES_MAX = 60
SECONDS = 300
ORDERS = """order_no,worker_number,accept_time,end_time,place
J-1,w-1,2025-07-10T09:30:00+08:00,2025-07-10T09:50:00+08:00,440106
J-2,w-1,2025-07-10T10:30:00+08:00,2025-07-10T10:50:00+08:00,440106
J-3,w-2,2025-07-10T11:30:00+08:00,2025-07-10T11:50:00+08:00,440106
"""

pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"not installed (examples/java/README.md): {', '.join(MISSING)}"
)


async def run(*command: str | Path, **environment: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, said = await asyncio.wait_for(process.communicate(), SECONDS)
    assert process.returncode == 0, said.decode()
    return printed.decode()


async def test_it_sends_a_day_and_again_gets_the_first_receipt(
    stack: Settings, databases: Databases, tmp_path: Path
) -> None:
    common = {"COMMON_PROTOS": str(site_packages()), "WELL_KNOWN_PROTOS": str(well_known())}
    await run(EXAMPLE / "build.sh", tmp_path, **common)
    (tmp_path / "orders.csv").write_text(ORDERS, encoding="utf-8")
    async with enrolment_and_orders(stack, databases) as running:
        await enrol_hints(running, SWIFT, ["w-1"])
        token = running.issuer.issue("engineer", ["platform"], SWIFT)
        (tmp_path / "token").write_text(token, encoding="utf-8")
        command = (
            *("java", "-cp", f"{tmp_path / 'classes'}:{JARS}/*", "UploadDay"),
            *(running.addresses["enrolment"], running.addresses["orders"], SWIFT, "2025-07-10"),
            tmp_path / "orders.csv",
        )
        environment = {
            "OIP_TOKEN_FILE": str(tmp_path / "token"),
            "OIP_SERVICE_CONFIG": str(ROOT / "protos" / "service-config.json"),
        }
        first = await run(*command, **environment)
        again = await run(*command, **environment)

    count, refused = first.splitlines()
    assert count == "2025-07-10-0: 2 new, 0 stored before"
    assert refused.startswith("J-3: ")
    assert again == first


def test_the_upload_is_short() -> None:
    text = (EXAMPLE / "UploadDay.java").read_text(encoding="utf-8")

    assert len(text.splitlines()) <= UPLOAD_LINES_MAX
