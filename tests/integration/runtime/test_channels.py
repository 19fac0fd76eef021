import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import grpc
import pytest
from joserfc.jwk import OKPKey

from services.kernel.problems import NotFound
from services.runtime.base.clock import SetClock
from services.runtime.rpc.client import CLIENT_OPTIONS, Channels, problem_of
from services.runtime.rpc.server import RpcServer
from services.runtime.rpc.service_config import BUDGET_MAX
from services.runtime.rpc.tokens import Issuer
from services.runtime.storage.database import Overloaded
from tests.support.echo import CAP_SECONDS, EchoApi, EchoStub, Text, add_echo_to_server
from tests.support.staff import usual_admission

NOON = datetime(2025, 7, 1, 4, tzinfo=UTC)
ISSUER = Issuer(OKPKey.generate_key("Ed25519", auto_kid=True), SetClock(NOON))


class Peer:
    """A served echo and channels that know its address; `failures` come before an answer."""

    def __init__(self) -> None:
        self.failures: list[BaseException] = []
        self.api = EchoApi(self.behave)
        self.server = RpcServer("echo", usual_admission(ISSUER.verifier()))
        add_echo_to_server(self.api, self.server.registrar)

    async def behave(self, text: str) -> str:
        if self.failures:
            raise self.failures.pop(0)
        return text


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    made = Peer()
    yield made
    await made.server.stop(0)


@pytest.fixture
async def stub(peer: Peer) -> AsyncIterator[EchoStub]:
    port = await peer.server.start("127.0.0.1:0")
    channels = Channels({"echo": f"127.0.0.1:{port}"}, ISSUER.source("claims", ["adjudicator"]))
    yield channels.stub(EchoStub, "echo")
    await channels.close()


async def test_a_call_carries_a_token_and_a_deadline_by_itself(peer: Peer, stub: EchoStub) -> None:
    assert (await stub.Echo(Text(value="a"))).value == "a"
    assert peer.api.seconds_left is not None
    assert CAP_SECONDS - 1 < peer.api.seconds_left <= CAP_SECONDS + 0.1


async def test_streams_carry_them_too(stub: EchoStub) -> None:
    twice = [answer.value async for answer in stub.EchoTwice(Text(value="a"))]
    each = [answer.value async for answer in stub.EchoEach(iter([Text(value="b")]))]

    assert (twice, each) == (["a", "a"], ["b"])
    assert (await stub.EchoAll(iter([Text(value="c"), Text(value="d")]))).value == "c d"


async def test_an_idempotent_call_is_repeated_when_the_service_is_busy(
    peer: Peer, stub: EchoStub
) -> None:
    peer.failures = [Overloaded(service="echo"), Overloaded(service="echo")]

    assert (await stub.Echo(Text(value="a"))).value == "a"
    assert peer.api.call_count == 3


async def test_it_is_repeated_three_times_at_most(peer: Peer, stub: EchoStub) -> None:
    peer.failures = [Overloaded(service="echo")] * 9

    with pytest.raises(grpc.aio.AioRpcError):
        await stub.Echo(Text(value="a"))
    assert peer.api.call_count == 3


async def test_a_refusal_shortly_before_the_deadline_is_the_last_word(
    peer: Peer, stub: EchoStub
) -> None:
    async def fail_late(_text: str) -> str:
        await asyncio.sleep(0.5)
        raise Overloaded(service="echo")

    peer.api.behave = fail_late
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Echo(Text(value="a"), timeout=0.7)

    assert problem_of(caught.value).reason == "OVERLOADED"
    assert peer.api.call_count == 1


async def test_a_refusal_is_not_repeated(peer: Peer, stub: EchoStub) -> None:
    peer.failures = [NotFound(name="claims/c1")]

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Echo(Text(value="a"))

    assert peer.api.call_count == 1
    assert problem_of(caught.value).metadata == {"name": "claims/c1"}


async def test_a_call_that_is_not_idempotent_is_not_repeated(peer: Peer, stub: EchoStub) -> None:
    peer.failures = [Overloaded(service="echo")]

    with pytest.raises(grpc.aio.AioRpcError):
        await stub.EchoOnce(Text(value="a"))
    assert peer.api.call_count == 1


async def test_repeats_end_when_their_budget_is_spent(peer: Peer, stub: EchoStub) -> None:
    peer.failures = [Overloaded(service="echo")] * 1000
    results = await asyncio.gather(
        *(stub.Echo(Text(value="a")) for _ in range(40)), return_exceptions=True
    )

    assert all(isinstance(result, grpc.aio.AioRpcError) for result in results)
    assert 40 < peer.api.call_count <= 40 + BUDGET_MAX


async def test_a_large_request_is_repeated_too(peer: Peer) -> None:
    """The effect of `per_rpc_retry_buffer_size`: without it 256 KiB are kept for a repeat."""
    port = await peer.server.start("127.0.0.1:0")
    channels = Channels({"echo": f"127.0.0.1:{port}"}, ISSUER.source("claims", ["adjudicator"]))
    stub = channels.stub(lambda channel: EchoStub(channel, raw=True), "echo")
    peer.failures = [Overloaded(service="echo")]
    size = 3 * 1024 * 1024
    unknown_field = b"\x7a\x80\x80\xc0\x01" + bytes(size)

    answer = await stub.Echo(Text(value="a").SerializeToString() + unknown_field)
    await channels.close()

    assert (answer.value, peer.api.call_count) == ("a", 2)


async def test_calls_go_round_the_replicas_and_past_one_that_is_away(peer: Peer) -> None:
    other = Peer()
    ports = [await each.server.start("127.0.0.1:0") for each in (peer, other)]
    address = f"ipv4:127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}"
    channels = Channels({"echo": address}, ISSUER.source("claims", ["adjudicator"]))
    stub = channels.stub(EchoStub, "echo")
    for _ in range(20):
        await stub.Echo(Text(value="a"))
    both = peer.api.call_count, other.api.call_count
    await other.server.stop(0)
    for _ in range(20):
        await stub.Echo(Text(value="a"))
    await channels.close()

    assert min(both) > 5
    assert peer.api.call_count + other.api.call_count >= 40
    assert other.api.call_count == both[1]


async def test_an_unreachable_service_is_reported_in_one_sentence() -> None:
    channels = Channels({"echo": "127.0.0.1:1"}, ISSUER.source("claims", ["adjudicator"]))

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channels.stub(EchoStub, "echo").Echo(Text(value="a"), timeout=2)
    await channels.close()

    problem = problem_of(caught.value)
    assert problem.is_unreachable
    assert "start it, or check its address" in problem.sentence


async def test_a_call_made_while_serving_gets_less_time_than_its_caller_has_left(
    peer: Peer, stub: EchoStub
) -> None:
    inner = EchoApi()

    async def hand_over(text: str) -> str:
        await asyncio.sleep(0.2)
        return str((await inner_stub.Echo(Text(value=text))).value)

    server = RpcServer("inner", usual_admission(ISSUER.verifier()))
    add_echo_to_server(inner, server.registrar)
    port = await server.start("127.0.0.1:0")
    channels = Channels({"inner": f"127.0.0.1:{port}"}, ISSUER.source("services/echo", ["service"]))
    inner_stub = channels.stub(EchoStub, "inner")
    peer.api.behave = hand_over

    assert (await stub.Echo(Text(value="a"), timeout=2)).value == "claims: a"
    assert inner.seconds_left is not None
    assert inner.seconds_left < 1.75
    await channels.close()
    await server.stop(0)


async def test_a_dead_peer_is_noticed_within_seconds() -> None:
    """The effect of `ping_timeout_ms`: without it the call would hang for a minute."""
    silent: list[asyncio.StreamWriter] = []

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silent.append(writer)
        # HTTP/2 settings make the client believe in the peer; then nothing ever comes.
        writer.write(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
        while await reader.read(65536):
            pass

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    options = {**dict(CLIENT_OPTIONS), "grpc.keepalive_time_ms": 1000}
    async with grpc.aio.insecure_channel(
        f"127.0.0.1:{port}", options=[*options.items()]
    ) as channel:
        began = time.monotonic()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await EchoStub(channel).Echo(Text(value="a"), timeout=30)

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert time.monotonic() - began < 15
    for writer in silent:
        writer.close()
    server.close()
