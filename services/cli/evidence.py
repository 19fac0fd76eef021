"""`oip evidence`: a claim's order records as a file that anybody can check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from oip.claims.v1 import claims_pb2, claims_pb2_grpc
from oip.orders.v1 import orders_pb2, orders_pb2_grpc
from rich.console import Console
from rich.table import Table

from services.cli.desk import Desk, Refused, desk_of, run
from services.client.evidence import Proven, evidence_file, verify_file

VERIFIER_FILE = Path("keys") / "order-log.vkey"

app = typer.Typer(no_args_is_help=True, help="Proofs of order records (证据).")
console = Console()


@app.command("export")
def export(
    context: typer.Context,
    claim: Annotated[str, typer.Argument(help="claims/{id}")],
    out: Annotated[Path | None, typer.Option(help="Default: {id}.evidence.json here.")] = None,
    key: Annotated[str, typer.Option(help="Verifier key; default: the stack's own.")] = "",
) -> None:
    """Write one JSON file with a proof of each order record of a claim."""
    desk = desk_of(context)
    key = key or own_key(desk)
    proofs = run(lambda: _proofs(desk, claim))
    if not proofs:
        raise Refused(f"{claim} has no order records; there is nothing to prove.")
    path = out or Path(f"{claim.rpartition('/')[2]}.evidence.json")
    content = evidence_file(claim, key, proofs)
    show(verify_file(content, key))
    path.write_bytes(content)
    console.print(f"{len(proofs)} proofs written to {path}")


@app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="An exported file.")],
    key: Annotated[str, typer.Option(help="Verifier key as the authority gave it out.")] = "",
) -> None:
    """Check an exported file; needs neither network nor database."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise Refused(f"{file} cannot be read ({error.strerror}); check its name.") from error
    show(verify_file(content, key))
    if key:
        console.print("All records hold under the key given.")
    else:
        console.print(
            "All records hold under the key in the file; give --key to check whose it is."
        )


async def _proofs(desk: Desk, claim: str) -> list[orders_pb2.OrderProof]:
    async with desk.channels("adjudicator") as channels:
        claims = channels.stub(claims_pb2_grpc.ClaimServiceStub, "claims")
        orders = channels.stub(orders_pb2_grpc.OrderServiceStub, "orders")
        held = await claims.GetClaim(claims_pb2.GetClaimRequest(name=claim))
        return [
            await orders.GetOrderProof(orders_pb2.GetOrderProofRequest(name=one.order))
            for one in held.orders
        ]


def own_key(desk: Desk) -> str:
    """The verifier key of the stack at hand."""
    path = desk.settings.state_dir / VERIFIER_FILE
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        raise Refused(
            f"There is no verifier key at {path}; give the one of the log with --key."
        ) from None


def show(proven: list[Proven]) -> None:
    """Print what was proven."""
    table = Table("order", "revision", "worker", "accepted", "ended", "taken in", "log")
    for one in proven:
        record = one.record
        table.add_row(
            record["order_no"],
            str(record["revision"]),
            str(record["worker"]),
            record["accept_time"],
            record["end_time"],
            one.create_time,
            f"{one.origin} at {one.log_size}",
        )
    console.print(table)
