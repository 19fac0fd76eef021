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
from services.client.evidence import Evidence, Said, evidence_file, verify_file
from services.runtime.rpc.wire import moment_from_wire

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
    """Write one JSON file with a proof of every revision of each order of a claim."""
    desk = desk_of(context)
    key = key or own_key(desk)
    said, proofs = run(lambda: _proofs(desk, claim))
    if not proofs:
        raise Refused(f"{claim} has no order records; there is nothing to prove.")
    path = out or Path(f"{claim.rpartition('/')[2]}.evidence.json")
    content = evidence_file(key, proofs, said)
    show(verify_file(content, key))
    path.write_bytes(content)
    console.print(f"{len(proofs)} proofs written to {path}")


@app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="An exported file.")],
    key: Annotated[str, typer.Option(help="Verifier key as the authority gave it out.")] = "",
) -> None:
    """Check an exported file; needs neither network nor database."""
    show(verify_file(content_of(file), key))
    if key:
        console.print("All records hold under the key given.")
    else:
        console.print(
            "All records hold under the key in the file; give --key to check whose it is."
        )


async def _proofs(desk: Desk, claim: str) -> tuple[Said, list[orders_pb2.OrderProof]]:
    """All revisions of each order that the evidence names: what it rests on, and what came late."""
    async with desk.channels("adjudicator") as channels:
        claims = channels.stub(claims_pb2_grpc.ClaimServiceStub, "claims")
        orders = channels.stub(orders_pb2_grpc.OrderServiceStub, "orders")
        held = await claims.GetClaim(claims_pb2.GetClaimRequest(name=claim))
        proofs = []
        for name in sorted({one.order for one in held.orders}):
            order = await orders.GetOrder(orders_pb2.GetOrderRequest(name=name))
            for record in order.revisions:
                asked = orders_pb2.GetOrderProofRequest(name=name, revision=record.row.revision)
                proofs.append(await orders.GetOrderProof(asked))
    return _said(held), proofs


def _said(claim: claims_pb2.Claim) -> Said:
    return Said(
        claim=claim.name,
        accident_report=claim.accident_report,
        accident_time=moment_from_wire(claim.accident_time, "accident_time").isoformat(),
        report_time=moment_from_wire(claim.report_time, "report_time").isoformat(),
        named=frozenset((one.order, one.revision) for one in claim.orders),
    )


def own_key(desk: Desk) -> str:
    """The verifier key of the stack at hand."""
    path = desk.settings.state_dir / VERIFIER_FILE
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        raise Refused(
            f"There is no verifier key at {path}; give the one of the log with --key."
        ) from None


def content_of(file: Path) -> bytes:
    """What is in a file that was named."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise Refused(f"{file} cannot be read ({error.strerror}); check its name.") from error


def show(evidence: Evidence) -> None:
    """Print what was proven, and apart from it what the file only says."""
    table = Table("order", "revision", "worker", "accepted", "ended", "taken in", "log", "said")
    for one in evidence.proven:
        record = one.record
        marks = [word for word in ("named", "late") if one.said.get(word)]
        table.add_row(
            record["order_no"],
            str(record["revision"]),
            str(record["worker"]),
            record["accept_time"],
            record["end_time"],
            one.create_time,
            f"{one.origin} at {one.log_size}",
            ", ".join(marks),
        )
    console.print(table)
    console.print(
        f"Proven: {len(evidence.proven)} records, each as its platform reported it and taken in "
        "when it says, in a log whose head the key signed."
    )
    said = ", ".join(f"{name} {value}" for name, value in evidence.said.items())
    console.print(
        f"Only said, not proven: {said + ', ' if said else ''}"
        "which records are named or late, and that no other record belongs to the case."
    )
