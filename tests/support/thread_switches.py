"""Counts how often gRPC's threads wake for calls; runs as a separate program."""

from __future__ import annotations

import sys
from pathlib import Path

from grpc_health.v1 import health_pb2, health_pb2_grpc
from joserfc.jwk import OKPKey

from services.runtime.base.clock import SystemClock
from services.runtime.rpc.client import Channels
from services.runtime.rpc.server import RpcServer
from services.runtime.rpc.tokens import Issuer
from tests.support.staff import usual_admission


def switches() -> int:
    """How often the threads of the event engine have gone to sleep."""
    count = 0
    for thread in Path("/proc/self/task").iterdir():
        if (thread / "comm").read_text(encoding="ascii").strip() == "event_engine":
            lines = (thread / "status").read_text(encoding="ascii").splitlines()
            (line,) = (text for text in lines if text.startswith("voluntary_ctxt_switches"))
            count += int(line.split()[1])
    return count


async def main(call_count: int) -> None:
    issuer = Issuer(OKPKey.generate_key("Ed25519", auto_kid=True), SystemClock())
    server = RpcServer("echo", usual_admission(issuer.verifier()))
    await server.start("127.0.0.1:0")
    channels = Channels({"echo": f"127.0.0.1:{server.health_port}"}, lambda: "")
    health = channels.stub(health_pb2_grpc.HealthStub, "echo")
    before = switches()
    for _ in range(call_count):
        await health.Check(health_pb2.HealthCheckRequest())
    sys.stdout.write(str(switches() - before))
    await channels.close()
    await server.stop(0)
