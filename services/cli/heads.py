"""`oip evidence checkpoints`, `consistency` and `key`: signed heads, for those who keep them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from oip.orders.v1 import orders_pb2, orders_pb2_grpc
from rich.console import Console
from rich.table import Table

from services.cli import evidence
from services.cli.desk import Desk, Refused, desk_of, run
from services.client.heads import Growth, consistency_file, open_head, require_growth, verify_growth
from services.orderlog.notes import Head
from services.orderlog.signer import LogKeyError, read_signer
from services.runtime.rpc.wire import moment_from_wire

SHOWN_MAX = 20
ROLE = "fund_officer"

console = Console(soft_wrap=True)

Keys = Annotated[
    list[str] | None,
    typer.Option("--key", help="Verifier key; repeat for earlier ones. Default: the stack's own."),
]


@dataclass(frozen=True)
class _Today:
    """The newest head, and the proof that leads to it from the head that was kept."""

    note: str
    path: list[bytes]


def checkpoints(
    context: typer.Context,
    platform: Annotated[str, typer.Argument(help="platforms/{credit code}, or the code.")],
    out: Annotated[Path | None, typer.Option(help="Write the newest head here, to keep.")] = None,
    key: Keys = None,
) -> None:
    """Show the newest signed heads of a platform's log; keep one to check the log with later."""
    desk = desk_of(context)
    keys = key or [evidence.own_key(desk)]
    held = run(lambda: _heads(desk, _named(platform), SHOWN_MAX))
    if not held:
        raise Refused(f"{_named(platform)} has no batches yet, so its log has no head.")
    table = Table("batches", "root", "signed")
    for one in held:
        head = open_head(one.note, keys)
        signed = moment_from_wire(one.create_time, "create_time").isoformat()
        table.add_row(str(head.size), head.root.hex(), signed)
    console.print(table)
    if out is not None:
        out.write_text(held[0].note, encoding="utf-8")
        console.print(f"The head at {held[0].log_size} is in {out}; keep it where we cannot write.")


def consistency(
    context: typer.Context,
    notes: Annotated[list[Path], typer.Argument(help="Heads that were kept, a file each.")],
    proof: Annotated[
        Path | None, typer.Option(help="Check against this file, without a network.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write both heads and the proof, for one head.")
    ] = None,
    key: Keys = None,
) -> None:
    """Check that the log of today contains heads that were kept. It cannot, if it was rewritten."""
    desk = desk_of(context)
    if len(notes) > 1 and (out or proof):
        raise Refused("A proof file is for one head; name one.")
    keys = key or [evidence.own_key(desk)]
    for path in notes:
        kept = _note_in(evidence.content_of(path))
        if proof is not None:
            _tell(verify_growth(evidence.content_of(proof), keys, kept))
            continue
        first = open_head(kept, keys)
        today = run(lambda first=first: _today(desk, first, keys))  # type: ignore[misc]
        if out is not None:
            # Also if it does not hold: then the file shows it to others.
            out.write_bytes(consistency_file(keys, kept, today.note, today.path))
        _tell(require_growth(first, open_head(today.note, keys), today.path))


def key(
    file: Annotated[Path, typer.Argument(help="The private key of the logs (PEM).")],
    province: Annotated[str, typer.Option(help="Division code of the province.")] = "440000",
) -> None:
    """Print the verifier key of a private key, to be given out; then those of earlier keys."""
    try:
        for one in read_signer(file, province).verifier_keys:
            typer.echo(one)
    except LogKeyError as error:
        raise Refused(f"{error}.") from error


def _note_in(content: bytes) -> str:
    """A note that somebody kept, with the line ends that were signed."""
    return "\n".join(content.decode(errors="replace").splitlines()).rstrip("\n") + "\n"


def _tell(grown: Growth) -> None:
    first, second = grown.first, grown.second
    console.print(
        f"{second.origin}: the log of {second.size} batches contains the head at {first.size}."
    )


def _named(platform: str) -> str:
    return f"platforms/{platform.removeprefix('platforms/')}"


async def _heads(desk: Desk, platform: str, count: int) -> list[orders_pb2.Checkpoint]:
    async with desk.channels(ROLE) as channels:
        stub = channels.stub(orders_pb2_grpc.OrderServiceStub, "orders")
        asked = orders_pb2.ListCheckpointsRequest(platform=platform, page_size=count)
        return list((await stub.ListCheckpoints(asked)).checkpoints)


async def _today(desk: Desk, first: Head, keys: list[str]) -> _Today:
    """The newest head. A log that is shorter than the head that was kept has no proof."""
    platform = f"platforms/{first.origin.rpartition('/')[2]}"
    held = await _heads(desk, platform, 1)
    if not held:
        raise Refused(
            f"{platform} has no log today, but a head of {first.size} batches was signed: "
            "the log was removed. Keep that head; it is signed, and proves it."
        )
    second = open_head(held[0].note, keys)
    if second.size <= first.size:
        return _Today(held[0].note, [])
    async with desk.channels(ROLE) as channels:
        stub = channels.stub(orders_pb2_grpc.OrderServiceStub, "orders")
        answer = await stub.GetLogConsistency(
            orders_pb2.GetLogConsistencyRequest(
                platform=platform, first_size=first.size, second_size=second.size
            )
        )
    return _Today(held[0].note, list(answer.path))
