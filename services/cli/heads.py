"""`oip evidence checkpoints`, `consistency` and `key`: signed heads for those who keep them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from oip.orders.v1 import orders_pb2, orders_pb2_grpc
from rich.table import Table

from services.cli import evidence
from services.cli.connection import Connection, Refused, connection_of, run
from services.cli.output import new_console
from services.client.proofs.heads import (
    Growth,
    consistency_file,
    open_head,
    require_growth,
    verify_growth,
)
from services.orderlog.notes import Head
from services.orderlog.signer import LogKeyError, parse_signer
from services.runtime.rpc.wire import moment_from_wire

SHOWN_MAX = 20
ROLE = "fund_officer"

Keys = Annotated[
    list[str] | None,
    typer.Option(
        "--key",
        help="Verifier key; repeat it for earlier keys. Default: the key of the local stack.",
    ),
]


@dataclass(frozen=True)
class _Today:
    """The newest head, and the proof that leads to it from the kept head."""

    note: str
    path: list[bytes]


def checkpoints(
    context: typer.Context,
    platform: Annotated[str, typer.Argument(help="platforms/{credit code}, or the code.")],
    out: Annotated[Path | None, typer.Option(help="File to write the newest head to.")] = None,
    key: Keys = None,
) -> None:
    """Show the newest signed heads of a platform's log. Keep one to check the log later."""
    connection = connection_of(context)
    keys = key or [evidence.stack_key(connection)]
    heads = run(lambda: _heads(connection, _name(platform), SHOWN_MAX))
    if not heads:
        raise Refused(f"{_name(platform)} has no batches yet, so its log has no head.")
    table = Table("batches", "root", "signed")
    for checkpoint in heads:
        head = open_head(checkpoint.note, keys)
        signed = moment_from_wire(checkpoint.create_time, "create_time").isoformat()
        table.add_row(str(head.size), head.root.hex(), signed)
    _print(table)
    if out is not None:
        out.write_text(heads[0].note, encoding="utf-8")
        _print(
            f"The head at {heads[0].log_size} is in {out}; "
            "keep it where the operator of the log cannot write."
        )


def consistency(
    context: typer.Context,
    notes: Annotated[list[Path], typer.Argument(help="Kept heads, one file each.")],
    proof: Annotated[
        Path | None, typer.Option(help="Proof file to check against, without network.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write both heads and the proof to; for one head.")
    ] = None,
    key: Keys = None,
) -> None:
    """Check that today's log contains the kept heads. A rewritten log does not contain them."""
    connection = connection_of(context)
    if len(notes) > 1 and (out or proof):
        raise Refused("A proof file is for one head; pass one head.")
    keys = key or [evidence.stack_key(connection)]
    for path in notes:
        kept = _note_in(evidence.content_of(path))
        if proof is not None:
            _report(verify_growth(evidence.content_of(proof), keys, kept))
            continue
        first = open_head(kept, keys)
        today = run(lambda first=first: _today(connection, first, keys))  # type: ignore[misc]
        if out is not None:
            # Also if the check fails: the file then proves the failure to others.
            out.write_bytes(consistency_file(keys, kept, today.note, today.path))
        _report(require_growth(first, open_head(today.note, keys), today.path))


def key(
    file: Annotated[Path, typer.Argument(help="Private key of the logs (PEM).")],
    province: Annotated[str, typer.Option(help="Division code of the province.")] = "440000",
) -> None:
    """Print the verifier key of a private key, then those of earlier keys, for publication."""
    try:
        for verifier_key in parse_signer(file.read_bytes(), province).verifier_keys:
            typer.echo(verifier_key)
    except OSError as error:
        raise Refused(f"{file} cannot be read ({error.strerror}); name the key's file.") from error
    except LogKeyError as error:
        what = f"{file} {error}; make one as deploy/README.md describes."
        raise Refused(what) from error


def _note_in(content: bytes) -> str:
    """A kept note, with the line ends that were signed."""
    return "\n".join(content.decode(errors="replace").splitlines()).rstrip("\n") + "\n"


def _print(content: Table | str) -> None:
    new_console().print(content, soft_wrap=True)


def _report(growth: Growth) -> None:
    first, second = growth.first, growth.second
    _print(f"{second.origin}: the log of {second.size} batches contains the head at {first.size}.")


def _name(platform: str) -> str:
    return f"platforms/{platform.removeprefix('platforms/')}"


async def _heads(connection: Connection, platform: str, count: int) -> list[orders_pb2.Checkpoint]:
    async with connection.channels(ROLE) as channels:
        stub = channels.stub(orders_pb2_grpc.OrderServiceStub, "orders")
        request = orders_pb2.ListCheckpointsRequest(platform=platform, page_size=count)
        return list((await stub.ListCheckpoints(request)).checkpoints)


async def _today(connection: Connection, first: Head, keys: list[str]) -> _Today:
    """The newest head. There is no proof for a log that is shorter than the kept head."""
    platform = f"platforms/{first.origin.rpartition('/')[2]}"
    heads = await _heads(connection, platform, 1)
    if not heads:
        raise Refused(
            f"{platform} has no log today, but a head of {first.size} batches was signed: "
            "the log was removed. Keep that head: it is signed, and proves the removal."
        )
    second = open_head(heads[0].note, keys)
    if second.size <= first.size:
        return _Today(heads[0].note, [])
    async with connection.channels(ROLE) as channels:
        stub = channels.stub(orders_pb2_grpc.OrderServiceStub, "orders")
        answer = await stub.GetLogConsistency(
            orders_pb2.GetLogConsistencyRequest(
                platform=platform, first_size=first.size, second_size=second.size
            )
        )
    return _Today(heads[0].note, list(answer.path))
