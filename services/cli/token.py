"""`oip token`: a token of the development stack."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from services.cli.connection import DEVELOPER, Refused, connection_of
from services.cli.refusals import not_a_choice
from services.kernel.identifiers import is_credit_code
from services.runtime.rpc.roles import role_names


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
        raise not_a_choice(wrong[0], role_names())
    if platform and not is_credit_code(platform):
        raise Refused(
            "{platform} is not a credit code: it needs 18 characters, the last a check.",
            "{platform} 不是统一社会信用代码: 应为 18 位, 末位为校验码。",
            platform=platform,
        )
    if "platform" in role and not platform:
        raise Refused(
            "The role platform needs the platform's credit code; add --platform.",
            "平台角色须提供平台的统一社会信用代码; 请附加 --platform。",
        )
    issuer = connection_of(context).issuer()
    typer.echo(issuer.issue(subject, role, platform, timedelta(minutes=minutes)))
