"""`buf curl`, a client of others: Connect against the gateway, and gRPC without a deadline."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.gateway.conftest import PACKAGE, Door

ROOT = Path(__file__).resolve().parents[3]
BUF = Path(sys.executable).parent / "buf"


async def buf_curl(*arguments: str) -> tuple[int | None, Any]:
    """The exit code, and what it prints as JSON."""
    process = await asyncio.create_subprocess_exec(
        BUF, "curl", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    printed, said = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, json.loads(printed or said or b"{}")


@pytest.mark.parametrize("protocol", ["connect", "grpc"])
async def test_a_call_and_a_refusal(door: Door, protocol: str) -> None:
    schema = ["--schema", str(ROOT / "protos" / "promised.binpb")]
    url, options = door.http.url, schema
    if protocol == "grpc":  # a development service describes itself, and no deadline is set
        url, options = (
            f"http://{door.stack.stack.addresses['enrolment']}",
            ["--http2-prior-knowledge"],
        )
    common = [*options, "--protocol", protocol, "--header", f"Authorization: Bearer {door.token()}"]
    code, answer = await buf_curl(
        *common, "--data", '{"pageSize": 1}', f"{url}{PACKAGE}/ListPlatforms"
    )
    wrong, refusal = await buf_curl(
        *common, "--data", '{"name": "platforms/nobody"}', f"{url}{PACKAGE}/GetPlatform"
    )

    assert (code, wrong) != (0, 0)
    assert code == 0, answer
    assert refusal["code"] in {"not_found", "invalid_argument"}
    assert refusal["details"][0]["type"] == "google.rpc.ErrorInfo"
