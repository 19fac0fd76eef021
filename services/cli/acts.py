"""`oip acts`: what waits for the signature of a second person; sign or withdraw it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated, TypeAlias

import grpc
import typer
from oip.operations.v1 import operations_pb2, operations_pb2_grpc

from services.cli.connection import Refused, connection_of, new_request_id, run
from services.cli.fields import bytes_of
from services.cli.messages import show_result
from services.cli.operations import services_named, stub_of
from services.cli.steps import REQUEST_ID
from services.client.channels import Channels, problem_of

app = typer.Typer(
    no_args_is_help=True, help="Acts that wait for a second person (复核签批). Use your own token."
)

# In development the token has every role that signs something.
OFFICERS = ("adjudicator", "appraiser", "fund_officer", "fund_approver", "administrator")

Service = Annotated[str, typer.Option(help="One service; default: all.")]
Name = Annotated[str, typer.Argument(help="pendingActs/{id}")]
RequestId = Annotated[str, typer.Option(help=REQUEST_ID)]
Stub: TypeAlias = "operations_pb2_grpc.OperationsServiceAsyncStub"


@app.command()
def sign(
    context: typer.Context,
    name: Name,
    digest: Annotated[str, typer.Option("--hash", help="Hash that `oip acts show` printed.")],
    service: Service = "",
    request_id: RequestId = "",
) -> None:
    """Sign an act that another person made; it takes effect at once."""
    request = operations_pb2.SignActRequest(
        request_id=new_request_id("sign", request_id), name=name, hash=bytes_of(digest)
    )
    _end(context, service, name, lambda stub: stub.SignAct(request))


@app.command()
def withdraw(
    context: typer.Context,
    name: Name,
    reason: Annotated[str, typer.Option(help="Why it shall have no effect.")],
    service: Service = "",
    request_id: RequestId = "",
) -> None:
    """Withdraw an act: its maker, or a person who may sign it."""
    request = operations_pb2.WithdrawActRequest(
        request_id=new_request_id("withdraw", request_id), name=name, reason=reason
    )
    _end(context, service, name, lambda stub: stub.WithdrawAct(request))


def _end(
    context: typer.Context,
    service: str,
    name: str,
    work: Callable[[Stub], Awaitable[operations_pb2.PendingAct]],
) -> None:
    """Make a change to an act at the service that holds it, and show the act."""
    connection = connection_of(context)

    async def ended() -> operations_pb2.PendingAct:
        async with connection.channels(*OFFICERS) as channels:
            owner = await _owner_of(channels, services_named(connection, service), name)
            return await work(stub_of(channels, owner))

    show_result(run(ended))


async def _owner_of(channels: Channels, services: Iterable[str], name: str) -> str:
    """The service that holds an act; raises Refused if none does."""
    request = operations_pb2.GetPendingActRequest(name=name)
    for service in services:
        try:
            await stub_of(channels, service).GetPendingAct(request)
        except grpc.RpcError as error:
            if problem_of(error).reason != "NOT_FOUND":
                raise
        else:
            return service
    raise Refused(
        "There is no {name} that you made or may sign; see `oip acts list`.",
        "没有由您提交或可由您签批的 {name}; 请用 `oip acts list` 查看。",
        name=name,
    )
