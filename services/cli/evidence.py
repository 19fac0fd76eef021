"""`oip evidence`: the order records of a claim as a file that anyone can check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from oip.claims.v1 import claims_pb2, claims_pb2_grpc
from oip.orders.v1 import orders_pb2, orders_pb2_grpc
from rich.table import Table

from services.cli.connection import Connection, Refused, connection_of, run
from services.cli.output import new_console
from services.client.proofs.evidence import (
    Evidence,
    UnsignedStatements,
    evidence_file,
    verify_file,
)
from services.orderlog.signer import VERIFIER_FILE
from services.runtime.rpc.wire import moment_from_wire

app = typer.Typer(no_args_is_help=True, help="Proofs of order records (证据).")


@app.command("export")
def export(
    context: typer.Context,
    claim: Annotated[str, typer.Argument(help="claims/{id}")],
    out: Annotated[
        Path | None, typer.Option(help="File to write; default: {id}.evidence.json.")
    ] = None,
    key: Annotated[
        str, typer.Option(help="Verifier key; default: the key of the local stack.")
    ] = "",
) -> None:
    """Write one JSON file with a proof of every revision of each order of a claim."""
    connection = connection_of(context)
    key = key or stack_key(connection)
    unsigned, proofs = run(lambda: _proofs(connection, claim))
    if not proofs:
        raise Refused(f"{claim} has no order records; there is nothing to prove.")
    path = out or Path(f"{claim.rpartition('/')[2]}.evidence.json")
    content = evidence_file(key, proofs, unsigned)
    show(verify_file(content, key))
    path.write_bytes(content)
    new_console().print(f"{len(proofs)} proofs written to {path}")


@app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="Exported file.")],
    key: Annotated[str, typer.Option(help="Verifier key as the authority published it.")] = "",
) -> None:
    """Check an exported file, without network or database."""
    show(verify_file(content_of(file), key))
    if key:
        new_console().print("All records are valid under this key.")
    else:
        new_console().print(
            "All records are valid under the key in the file. Pass --key to check who signed them."
        )


async def _proofs(
    connection: Connection, name: str
) -> tuple[UnsignedStatements, list[orders_pb2.OrderProof]]:
    """All revisions of each order in the claim's evidence: those it rests on, and late ones."""
    async with connection.channels("adjudicator") as channels:
        claims = channels.stub(claims_pb2_grpc.ClaimServiceStub, "claims")
        orders = channels.stub(orders_pb2_grpc.OrderServiceStub, "orders")
        claim = await claims.GetClaim(claims_pb2.GetClaimRequest(name=name))
        proofs = []
        for order_name in sorted({link.order for link in claim.orders}):
            order = await orders.GetOrder(orders_pb2.GetOrderRequest(name=order_name))
            for record in order.revisions:
                request = orders_pb2.GetOrderProofRequest(
                    name=order_name, revision=record.row.revision
                )
                proofs.append(await orders.GetOrderProof(request))
    return _statements(claim), proofs


def _statements(claim: claims_pb2.Claim) -> UnsignedStatements:
    return UnsignedStatements(
        claim=claim.name,
        accident_report=claim.accident_report,
        accident_time=moment_from_wire(claim.accident_time, "accident_time").isoformat(),
        report_time=moment_from_wire(claim.report_time, "report_time").isoformat(),
        named=frozenset((link.order, link.revision) for link in claim.orders),
    )


def stack_key(connection: Connection) -> str:
    """The verifier key of the local stack. Raises Refused."""
    path = connection.settings.state_dir / VERIFIER_FILE
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        raise Refused(
            f"There is no verifier key at {path}; pass the key of the log with --key."
        ) from None


def content_of(file: Path) -> bytes:
    """The content of a file in an argument. Raises Refused."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise Refused(f"{file} cannot be read ({error.strerror}); check its name.") from error


def show(evidence: Evidence) -> None:
    """Print what is proven and, apart from it, what the file only states."""
    table = Table("order", "revision", "worker", "accepted", "ended", "received", "log", "unsigned")
    for proven in evidence.proven:
        record = proven.record
        marks = [mark for mark in ("named", "late") if proven.unsigned.get(mark)]
        table.add_row(
            record["order_no"],
            str(record["revision"]),
            str(record["worker"]),
            record["accept_time"],
            record["end_time"],
            proven.create_time,
            f"{proven.origin} at {proven.log_size}",
            ", ".join(marks),
        )
    console = new_console()
    console.print(table)
    console.print(
        f"Proven: {len(evidence.proven)} records, each as its platform reported it and at the time "
        "it was received, in a log whose head the key signed."
    )
    unsigned = ", ".join(f"{name} {value}" for name, value in evidence.unsigned.items())
    console.print(
        f"Stated, but not proven: {unsigned + ', ' if unsigned else ''}"
        "which records are named or late, and that no other record belongs to the case."
    )
