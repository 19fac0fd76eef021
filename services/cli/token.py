"""`oip token`: a token of the development stack."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from services.cli.connection import DEVELOPER, Refused, connection_of
from services.kernel.identifiers import is_credit_code
from services.runtime.rpc.access import role_names


def token(
    context: typer.Context,
    role: Annotated[list[str], typer.Option(help=f"One or more of: {', '.join(role_names())}.")],
    platform: Annotated[
        str, typer.Option(help="Credit code of the platform (统一社会信用代码).")
    ] = "",
    subject: Annotated[str, typer.Option(help="Account that the token names.")] = DEVELOPER,
    minutes: Annotated[int, typer.Option(min=1, max=720, help="Minutes until it expires.")] = 60,
) -> None:
    """Print a token for calls to the development stack."""
    wrong = [name for name in role if name not in role_names()]
    if wrong:
        raise Refused(f"{wrong[0]} is not a role; the roles are {', '.join(role_names())}.")
    if platform and not is_credit_code(platform):
        raise Refused(f"{platform} is not a credit code: it needs 18 characters, the last a check.")
    if "platform" in role and not platform:
        raise Refused("The role platform needs the platform's credit code; add --platform.")
    issuer = connection_of(context).issuer()
    typer.echo(issuer.issue(subject, role, platform, timedelta(minutes=minutes)))
