"""A service alone in its process, as production runs it: mutual TLS, keys and tokens from files."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from cryptography.fernet import Fernet
from oip.operations.v1 import operations_pb2, operations_pb2_grpc

from services.runtime.embedded import NatsServer
from services.runtime.rpc.certificates import thumbprint
from services.runtime.rpc.client import problem_of
from services.runtime.service.health import START_SECONDS
from services.runtime.storage.key_file import wrap_file
from services.runtime.storage.key_wrapping import WrapCommand
from tests.support.authorities import Authority
from tests.support.databases import Databases
from tests.support.production import ProductionService, production_service


@pytest.fixture
async def service(
    databases: Databases, nats_server: NatsServer, tmp_path: Path
) -> AsyncIterator[ProductionService]:
    async with production_service(databases, nats_server, tmp_path) as prepared:
        yield prepared


async def test_it_serves_over_mutual_tls_and_stops_in_order(service: ProductionService) -> None:
    await service.start()
    assert (await service.until_it_answers()).epoch

    code, shown = await service.stop()

    assert code == 0, shown
    events = [json.loads(line)["event"] for line in shown.splitlines() if line.startswith("{")]
    assert {"serving", "stopped"} <= set(events)
    assert "Traceback" not in shown


async def test_a_client_without_a_certificate_of_our_authority_does_not_get_in(
    service: ProductionService,
) -> None:
    await service.start()
    await service.until_it_answers()

    with pytest.raises(grpc.aio.AioRpcError) as stranger:
        await service.ask(service.channels(Authority.new()), seconds=3)
    async with grpc.aio.insecure_channel(service.address) as channel:
        stub = operations_pb2_grpc.OperationsServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as plain:
            await stub.GetDelivery(operations_pb2.GetDeliveryRequest(), timeout=3)

    assert problem_of(stranger.value).is_unreachable
    assert problem_of(plain.value).is_unreachable
    assert (await service.stop())[0] == 0


async def test_a_token_of_one_client_is_refused_with_the_certificate_of_another(
    service: ProductionService,
) -> None:
    await service.start()
    await service.until_it_answers()
    _, certificate = service.authority.issue()

    for bound_to in (thumbprint(certificate), b""):
        with pytest.raises(grpc.aio.AioRpcError) as stolen:
            await service.ask(service.channels(bound_to=bound_to))
        problem = problem_of(stolen.value)
        assert problem.reason == "UNAUTHENTICATED"
        assert "not bound to this client's certificate" in problem.sentence
    assert (await service.stop())[0] == 0


async def test_it_does_not_make_keys_of_its_own(service: ProductionService, tmp_path: Path) -> None:
    (tmp_path / "columns.json").unlink()
    await service.start()

    code, shown = await service.stop_by_itself()

    assert code == 1
    assert "OIP_KEYS_FILE" in shown


async def test_it_does_not_start_without_the_key_that_signs_its_events(
    service: ProductionService, tmp_path: Path
) -> None:
    (tmp_path / "enrolment.pem").unlink()
    await service.start()

    code, shown = await service.stop_by_itself()

    assert code == 1
    assert "OIP_EVENT_KEY_FILE" in shown


async def test_it_does_not_start_on_a_nats_server_that_may_forget(
    service: ProductionService, tmp_path: Path
) -> None:
    forgetful = NatsServer(tmp_path / "forgetful", sync_interval="2m")
    await forgetful.start()
    service.environment |= {
        "OIP_NATS_URL": forgetful.url,
        "OIP_NATS_MONITOR_URL": forgetful.monitor_url,
    }
    await service.start()

    code, shown = await service.stop_by_itself()

    assert code == 1
    assert "sync_interval: always" in shown
    await forgetful.stop()


async def test_it_starts_with_a_key_file_that_a_command_unwraps(
    service: ProductionService, tmp_path: Path
) -> None:
    """Without the command it does not start, and says which setting is missing."""
    (tmp_path / "kms.key").write_bytes(Fernet.generate_key())
    kms = tmp_path / "kms"
    kms.write_text(
        f"#!{sys.executable}\n"
        "import sys\nfrom cryptography.fernet import Fernet\n"
        f"kms = Fernet(open({str(tmp_path / 'kms.key')!r}, 'rb').read())\n"
        "work = {'wrap': kms.encrypt, 'unwrap': kms.decrypt}[sys.argv[-1]]\n"
        "sys.stdout.buffer.write(work(sys.stdin.buffer.read().strip()))\n"
    )
    kms.chmod(0o700)
    wrap_file(tmp_path / "columns.json", WrapCommand(str(kms)))
    await service.start()
    code, shown = await service.stop_by_itself()
    assert code == 1
    assert "OIP_KEY_WRAP_COMMAND" in shown

    service.environment |= {"OIP_KEY_WRAP_COMMAND": str(kms)}
    await service.start()
    assert (await service.until_it_answers()).epoch
    assert (await service.stop())[0] == 0


async def test_the_token_of_another_service_is_a_fault(
    service: ProductionService, tmp_path: Path
) -> None:
    """Producers would give data keys to the wrong service, or to none."""
    certificate = (tmp_path / "certificate.pem").read_bytes()
    token = service.issuer.issue(
        "services/orders", ["service"], certificate=thumbprint(certificate)
    )
    (tmp_path / "token").write_text(token)
    await service.start()
    await service.until_it_answers()
    await asyncio.sleep(START_SECONDS + 2)

    _, shown = await service.stop()

    assert "is of services/orders, not of services/enrolment" in shown
