"""`oip acts`: what waits for the signature of a second person; list, show, sign, withdraw."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Annotated

import grpc
import typer
from oip.operations.v1 import operations_pb2
from rich.table import Table

from services.cli.connection import Connection, Refused, connection_of, is_chinese, run
from services.cli.operations import services_named, stub_of
from services.cli.output import new_wide_console
from services.client.channels import Channels, problem_of
from services.kernel.money import Fen
from services.runtime.rpc.access import role_name
from services.runtime.rpc.wire import moment_from_wire

app = typer.Typer(
    no_args_is_help=True, help="Acts that wait for a second person (复核签批). Use your own token."
)

# In development the token has every role that signs something.
OFFICERS = ("adjudicator", "appraiser", "fund_officer", "fund_approver", "administrator")

Service = Annotated[str, typer.Option(help="One service; default: all.")]
Name = Annotated[str, typer.Argument(help="pendingActs/{id}")]
RequestId = Annotated[str, typer.Option(help="Id of an earlier attempt whose outcome is unknown.")]


@app.command("list")
def list_acts(
    context: typer.Context,
    service: Service = "",
    ended: Annotated[bool, typer.Option(help="Include signed, withdrawn and expired.")] = False,
) -> None:
    """List the acts that you made or may sign, oldest first."""
    connection = connection_of(context)
    acts = run(lambda: _all_acts(connection, services_named(connection, service), ended))
    if not acts:
        typer.echo("No act waits for a signature.")
        return
    table = Table("service", "name", "act", "yuan", "made by", "signed by", "state", "until")
    for name, act in acts:
        table.add_row(
            name,
            act.name,
            _title(act),
            Fen(act.sum_fen).yuan if act.HasField("sum_fen") else "",
            act.maker_member,
            act.signer_member,
            operations_pb2.PendingAct.State.Name(act.state),
            f"{moment_from_wire(act.expire_time, 'expire_time'):%Y-%m-%d %H:%MZ}",
        )
    new_wide_console().print(table)


@app.command()
def show(context: typer.Context, name: Name, service: Service = "") -> None:
    """Show an act with its request, what it will do, what it rests on, and the hash to sign."""
    connection = connection_of(context)

    async def call() -> tuple[str, operations_pb2.PendingAct]:
        async with connection.channels(*OFFICERS) as channels:
            return await _find(channels, services_named(connection, service), name)

    owner, act = run(call)
    typer.echo(f"{act.name} ({owner}): {act.title} ({act.title_zh})")
    typer.echo(f"state: {operations_pb2.PendingAct.State.Name(act.state)}")
    if act.HasField("sum_fen"):
        typer.echo(f"sum: {Fen(act.sum_fen).yuan} yuan")
    typer.echo(f"made by: {act.maker_member} as {act.maker_subject}, {act.method}")
    if act.signer_member:
        typer.echo(f"signed by: {act.signer_member}")
    if act.withdraw_reason:
        typer.echo(f"withdrawn by: {act.withdraw_member}: {act.withdraw_reason}")
    typer.echo(f"may be signed by: {', '.join(role_name(role) for role in act.signer_roles)}")
    typer.echo(f"request (请求):\n{act.request_json}")
    typer.echo(f"effect (结果预览):\n{act.preview_json}")
    typer.echo("rests on (依据):")
    for resource in act.resources:
        typer.echo(f"  {resource.name} {resource.revision}")
    typer.echo(f"hash: {act.hash.hex()}")


@app.command()
def sign(
    context: typer.Context,
    name: Name,
    digest: Annotated[str, typer.Option("--hash", help="Hash that `oip acts show` printed.")],
    service: Service = "",
    request_id: RequestId = "",
) -> None:
    """Sign an act that another person made; it takes effect at once."""
    connection = connection_of(context)
    try:
        read = bytes.fromhex(digest)
    except ValueError:
        raise Refused(f"{digest} is not a hash; copy it from `oip acts show {name}`.") from None
    request = operations_pb2.SignActRequest(
        request_id=request_id or f"sign-{uuid.uuid4().hex}", name=name, hash=read
    )

    async def call() -> operations_pb2.PendingAct:
        async with connection.channels(*OFFICERS) as channels:
            owner, _ = await _find(channels, services_named(connection, service), name)
            return await stub_of(channels, owner).SignAct(request)

    act = run(call)
    typer.echo(f"{act.name} is signed by {act.signer_member} and has taken effect: {_title(act)}.")


@app.command()
def withdraw(
    context: typer.Context,
    name: Name,
    reason: Annotated[str, typer.Option(help="Why it shall have no effect.")],
    service: Service = "",
    request_id: RequestId = "",
) -> None:
    """Withdraw an act: its maker, or a person who may sign it."""
    connection = connection_of(context)
    request = operations_pb2.WithdrawActRequest(
        request_id=request_id or f"withdraw-{uuid.uuid4().hex}", name=name, reason=reason
    )

    async def call() -> operations_pb2.PendingAct:
        async with connection.channels(*OFFICERS) as channels:
            owner, _ = await _find(channels, services_named(connection, service), name)
            return await stub_of(channels, owner).WithdrawAct(request)

    act = run(call)
    typer.echo(f"{act.name} is withdrawn: {act.withdraw_reason}")


async def _all_acts(
    connection: Connection, services: Iterable[str], include_ended: bool
) -> list[tuple[str, operations_pb2.PendingAct]]:
    acts = []
    async with connection.channels(*OFFICERS) as channels:
        for service in services:
            stub, token = stub_of(channels, service), ""
            while True:
                answer = await stub.ListPendingActs(
                    operations_pb2.ListPendingActsRequest(
                        page_token=token, include_ended=include_ended
                    )
                )
                acts += [(service, act) for act in answer.pending_acts]
                token = answer.next_page_token
                if not token:
                    break
    return acts


async def _find(
    channels: Channels, services: Iterable[str], name: str
) -> tuple[str, operations_pb2.PendingAct]:
    """The service that holds an act, and the act; raises Refused if none does."""
    for service in services:
        try:
            request = operations_pb2.GetPendingActRequest(name=name)
            return service, await stub_of(channels, service).GetPendingAct(request)
        except grpc.RpcError as error:
            if problem_of(error).reason != "NOT_FOUND":
                raise
    raise Refused(f"There is no {name} that you made or may sign; see `oip acts list`.")


def _title(act: operations_pb2.PendingAct) -> str:
    return act.title_zh if is_chinese() else act.title
