"""`oip evidence checkpoints`, `consistency` and `key`: signed heads for those who keep them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from oip.orders.v1 import orders_pb2

from services.cli import evidence
from services.cli.apis import ORDERS
from services.cli.connection import Connection, Refused, connection_of
from services.cli.refusals import unreadable
from services.cli.tables import Row, show_rows
from services.cli.values import Value, moment_value, text_value
from services.cli.view import say
from services.client.proofs.heads import (
    Growth,
    consistency_file,
    open_head,
    require_growth,
    verify_growth,
)
from services.orderlog.notes import Head
from services.orderlog.signer import LogKeyError, parse_signer

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
    heads = _heads(connection, _name(platform), SHOWN_MAX)
    if not heads:
        raise Refused(
            "{platform} has no batches yet, so its log has no head.",
            "{platform} 尚无批次, 其日志没有检查点。",
            platform=_name(platform),
        )
    show_rows([_row(checkpoint, keys) for checkpoint in heads], ("log_size", "root", "create_time"))
    if out is not None:
        out.write_text(heads[0].note, encoding="utf-8")
        typer.echo(
            say(
                f"The head at {heads[0].log_size} is in {out}; keep it where the operator of the "
                "log cannot write.",
                f"长度为 {heads[0].log_size} 的检查点已写入 {out}; 请存放于日志运营方不能写入处。",
            ),
            err=True,
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
        raise Refused(
            "A proof file is for one head; pass one head.",
            "一个证明文件对应一个检查点; 请只提供一个。",
        )
    keys = key or [evidence.stack_key(connection)]
    for path in notes:
        kept = _note_in(evidence.content_of(path))
        if proof is not None:
            _report(verify_growth(evidence.content_of(proof), keys, kept))
            continue
        first = open_head(kept, keys)
        today = _today(connection, first, keys)
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
        raise unreadable(file, error) from error
    except LogKeyError as error:
        raise Refused(
            "{file} {what}; make one as deploy/README.md describes.",
            "{file} 不是日志的私钥 ({what}); 请按 deploy/README.md 生成。",
            file=file,
            what=error,
        ) from error


def _note_in(content: bytes) -> str:
    """A kept note, with the line ends that were signed."""
    return "\n".join(content.decode(errors="replace").splitlines()).rstrip("\n") + "\n"


def _report(growth: Growth) -> None:
    first, second = growth.first, growth.second
    typer.echo(
        say(
            f"{second.origin}: the log of {second.size} batches contains the head at {first.size}.",
            f"{second.origin}: 长度为 {second.size} 的日志包含长度为 {first.size} 的检查点。",
        )
    )


def _row(checkpoint: orders_pb2.Checkpoint, keys: list[str]) -> Row:
    head = open_head(checkpoint.note, keys)
    return {
        "log_size": Value(str(head.size), head.size, is_number=True),
        "root": text_value(head.root.hex()),
        "create_time": moment_value(checkpoint.create_time),
    }


def _name(platform: str) -> str:
    return f"platforms/{platform.removeprefix('platforms/')}"


def _heads(connection: Connection, platform: str, count: int) -> list[orders_pb2.Checkpoint]:
    request = orders_pb2.ListCheckpointsRequest(platform=platform, page_size=count)
    answer = connection.call(ORDERS, lambda stub: stub.ListCheckpoints(request), ROLE)
    return list(answer.checkpoints)


def _today(connection: Connection, first: Head, keys: list[str]) -> _Today:
    """The newest head. There is no proof for a log that is shorter than the kept head."""
    platform = f"platforms/{first.origin.rpartition('/')[2]}"
    heads = _heads(connection, platform, 1)
    if not heads:
        raise Refused(
            "{platform} has no log today, but a head of {size} batches was signed: the log was "
            "removed. Keep that head: it is signed, and proves the removal.",
            "{platform} 现在没有日志, 但曾签发长度为 {size} 的检查点: 日志已被移除。"
            "请保存该检查点, 其签名可以证明日志被移除。",
            platform=platform,
            size=first.size,
        )
    second = open_head(heads[0].note, keys)
    if second.size <= first.size:
        return _Today(heads[0].note, [])
    request = orders_pb2.GetLogConsistencyRequest(
        platform=platform, first_size=first.size, second_size=second.size
    )
    answer = connection.call(ORDERS, lambda stub: stub.GetLogConsistency(request), ROLE)
    return _Today(heads[0].note, list(answer.path))
