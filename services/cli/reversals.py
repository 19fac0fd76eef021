"""What the commands that reverse a mistake have in common: their options and their request."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Annotated, TypeAlias, TypeVar

import typer
from oip.type.v1 import type_pb2

from services.cli.connection import Refused
from services.runtime.rpc.wire import enum_number

Request = TypeVar("Request")

REVERSAL_CODES = {
    name.lower().replace("_", "-"): number for name, number in type_pb2.ReversalCode.items()[1:]
}

Code: TypeAlias = Annotated[str, typer.Option(help=f"One of {', '.join(REVERSAL_CODES)}.")]
Reason: TypeAlias = Annotated[str, typer.Option(help="What happened.")]
RequestId: TypeAlias = Annotated[
    str, typer.Option(help="Id of an earlier attempt whose outcome is unknown.")
]


def reversal_code(text: str) -> type_pb2.ReversalCode.ValueType:
    """The code in an option: `wrong-amount`. Raises Refused."""
    if text not in REVERSAL_CODES:
        raise Refused(f"{text} is not a code; choose one of {', '.join(REVERSAL_CODES)}.")
    code: type_pb2.ReversalCode.ValueType = enum_number(REVERSAL_CODES[text])
    return code


def reversal_request(
    message: Callable[..., Request], name: str, code: str, reason: str, request_id: str
) -> Request:
    """The request to reverse `name`, with a new id unless one is given. Raises Refused."""
    return message(
        request_id=request_id or f"reverse-{uuid.uuid4().hex}",
        name=name,
        code=reversal_code(code),
        reason=reason,
    )
