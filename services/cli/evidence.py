"""`oip evidence`: the order records of a claim as a file that anyone can check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from oip.claims.v1 import claims_pb2, claims_pb2_grpc
from oip.orders.v1 import orders_pb2, orders_pb2_grpc

from services.cli.connection import Connection, Refused, connection_of, run
from services.cli.refusals import unreadable
from services.cli.tables import Row, show_rows
from services.cli.values import Value, text_value, truth_value
from services.cli.view import Format, say, view
from services.client.proofs.evidence import (
    Evidence,
    Proven,
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
        raise Refused(
            "{claim} has no order records; there is nothing to prove.",
            "{claim} 没有订单记录, 无可证明的内容。",
            claim=claim,
        )
    path = out or Path(f"{claim.rpartition('/')[2]}.evidence.json")
    content = evidence_file(key, proofs, unsigned)
    show(verify_file(content, key))
    path.write_bytes(content)
    typer.echo(
        say(f"{len(proofs)} proofs written to {path}", f"已将 {len(proofs)} 份证明写入 {path}")
    )


@app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="Exported file.")],
    key: Annotated[str, typer.Option(help="Verifier key as the authority published it.")] = "",
) -> None:
    """Check an exported file, without network or database."""
    show(verify_file(content_of(file), key))
    if view().format is not Format.TABLE:
        return
    if key:
        typer.echo(say("All records are valid under this key.", "全部记录经此密钥验证有效。"))
    else:
        typer.echo(
            say(
                "All records are valid under the key in the file. Pass --key to check who signed "
                "them.",
                "全部记录经文件内的密钥验证有效。如需核对签名方, 请提供 --key。",
            )
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
            "There is no verifier key at {file}; pass the key of the log with --key.",
            "{file} 处没有验证密钥; 请以 --key 提供日志的密钥。",
            file=path,
        ) from None


def content_of(file: Path) -> bytes:
    """The content of a file in an argument. Raises Refused."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise unreadable(file, error) from error


def show(evidence: Evidence) -> None:
    """Print what is proven and, apart from it, what the file only states."""
    columns = (
        "order_no",
        "revision",
        "worker",
        "accept_time",
        "end_time",
        "create_time",
        "log",
        "log_size",
        "named",
        "late",
    )
    show_rows((_row(proven) for proven in evidence.proven), columns)
    if view().format is not Format.TABLE:
        return
    count = len(evidence.proven)
    typer.echo(
        say(
            f"Proven: {count} records, each as its platform reported it and at the time it was "
            "received, in a log whose head the key signed.",
            f"已证明: {count} 条记录的内容与接收时间, 均在经该密钥签名的日志之中。",
        )
    )
    unsigned = ", ".join(f"{name} {value}" for name, value in evidence.unsigned.items())
    typer.echo(
        say(
            f"Stated, but not proven: {unsigned + ', ' if unsigned else ''}"
            "which records are named or late, and that no other record belongs to the case.",
            f"仅为陈述, 未经证明: {unsigned + ', ' if unsigned else ''}"
            "哪些记录为指名或迟到记录, 以及本案别无其他记录。",
        )
    )


def _row(proven: Proven) -> Row:
    record = proven.record
    texts = ("order_no", "revision", "worker", "accept_time", "end_time")
    return {
        **{name: text_value(record[name]) for name in texts},
        "create_time": text_value(proven.create_time),
        "log": text_value(proven.origin),
        "log_size": Value(str(proven.log_size), proven.log_size, is_number=True),
        "named": truth_value(bool(proven.unsigned.get("named"))),
        "late": truth_value(bool(proven.unsigned.get("late"))),
    }
