"""How the command line reaches a stack: its addresses, as whom, and how commands end.

Exit codes: 0 done, or stored until another person signs it, 1 a check failed, 2 refused or used
wrongly, 3 a service could not be reached,
4 done, but some rows were refused.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeVar, cast

import grpc
import typer
from typer.core import TyperGroup

from services.cli.tls import Tls, TlsWrong
from services.client.channels import Channels, RemoteProblem, problem_of
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.kernel.problems import Problem
from services.runtime.base.clock import SystemClock
from services.runtime.base.settings import Environment, Settings
from services.runtime.rpc.certificates import thumbprint
from services.runtime.rpc.tokens import Issuer
from services.runtime.service.addresses import published_addresses

R = TypeVar("R")

SECOND_SIGNATURE_NEEDED = "SECOND_SIGNATURE_NEEDED"
# The person in whose name the command line acts on a development stack; it has every role there.
DEVELOPER = "developer"

EXIT_CHECK_FAILED = 1
EXIT_REFUSED = 2
EXIT_UNREACHABLE = 3
EXIT_ROWS_REFUSED = 4
_YUAN = re.compile(r"\d{1,13}(\.\d{1,2})?", re.ASCII)
_HANDSHAKE = re.compile("handshake|CERTIFICATE_VERIFY|SSL_ERROR", re.IGNORECASE)


class Refused(Exception):  # noqa: N818 - a refusal is not an error of the program
    """A refusal of the command line itself: one sentence that says what to do."""


@dataclass(frozen=True)
class Connection:
    """The stack to call, the token to call with (development issues one), and TLS files."""

    settings: Settings
    token: str
    tls: Tls = field(default_factory=Tls)

    @property
    def addresses(self) -> Mapping[str, str]:
        """`host:port` by service: of the stack that runs in the state folder, or as set."""
        return published_addresses(self.settings.state_dir) or self.settings.addresses

    def issuer(self) -> Issuer:
        """The issuer of the development stack in the state folder."""
        settings = self.settings
        if settings.environment is not Environment.DEV or not settings.signing_key_path.exists():
            raise Refused(
                f"There is no development stack in {settings.state_dir} to issue a token; start "
                "one with `make dev`, name its folder with --state-dir, or pass a token with "
                "--token."
            )
        return Issuer.at(settings.signing_key_path, settings.jwks_path, SystemClock())

    @asynccontextmanager
    async def channels(self, *roles: str, platform: str = "") -> AsyncIterator[Channels]:
        """Channels to all services with the token, or in development with one of these roles."""
        try:
            credentials = self.tls.credentials()
        except TlsWrong as wrong:
            raise Refused(f"{wrong}; see --tls-authority, --tls-certificate, --tls-key.") from wrong
        if self.token:
            source: Callable[[], str] = self._token
        else:
            file = self.tls.certificate
            certificate = thumbprint(file.read_bytes()) if file is not None else b""
            source = self.issuer().source(DEVELOPER, roles, platform, certificate=certificate)
        channels = Channels(self.addresses, source, credentials)
        try:
            yield channels
        finally:
            await channels.close()

    def _token(self) -> str:
        return self.token


class ErrorReportingGroup(TyperGroup):
    """The one place that turns an error into a sentence on stderr and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a refusal ends it without a traceback."""
        try:
            return super().invoke(ctx)
        except grpc.RpcError as error:
            problem = _handshake_problem(error) or problem_of(error)
            if problem.reason == SECOND_SIGNATURE_NEEDED:
                wait_for_signature(problem)
            else:
                _end(problem)
        except RemoteProblem as problem:
            _end(problem)
        except Problem as problem:
            _exit(sentence_of(problem), EXIT_REFUSED)
        except Refused as refusal:
            _exit(str(refusal), EXIT_REFUSED)


def run(work: Callable[[], Awaitable[R]]) -> R:
    """Run a command's calls on a new event loop."""

    async def finished() -> R:
        return await work()

    return asyncio.run(finished())


def connection_of(context: typer.Context) -> Connection:
    """The connection that the options before the command describe."""
    connection = context.find_root().obj
    assert isinstance(connection, Connection)
    return connection


def month_of(text: str) -> Month:
    """The month in an argument, written as 2025-07. Raises Refused."""
    try:
        return Month.parse(text)
    except ValueError:
        raise Refused(f"{text} is not a month; write it as 2025-07.") from None


def day_of(text: str) -> date:
    """The day in an argument, written as 2025-07-01. Raises Refused."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    # ISO 8601 has further forms, such as weeks.
    if day is None or day.isoformat() != text:
        raise Refused(f"{text} is not a day; write it as 2025-07-01.")
    return day


def fen_of(text: str) -> Fen:
    """The amount in an argument, in yuan with at most two decimals. Raises Refused."""
    if not _YUAN.fullmatch(text):
        raise Refused(f"{text} is not an amount; write it in yuan, such as 1234.56.")
    return Fen.of_yuan(text)


def sentence_of(problem: RemoteProblem | Problem) -> str:
    """A refusal in the user's language: Chinese if the locale is, else English."""
    return problem.sentence_zh if is_chinese() else problem.sentence


def _end(problem: RemoteProblem) -> None:
    code = EXIT_UNREACHABLE if problem.is_unreachable else EXIT_REFUSED
    _exit(sentence_of(problem), code)


def wait_for_signature(problem: RemoteProblem) -> None:
    """What was asked is stored; that another person has to sign it is no failure."""
    typer.echo(sentence_of(problem))
    typer.echo(f"  oip acts show {problem.metadata['pending_act']}")


def _handshake_problem(error: grpc.RpcError) -> RemoteProblem | None:
    """The problem of two sides that do not trust each other; None for any other error."""
    call = cast("grpc.aio.AioRpcError", error)
    if call.code() is not grpc.StatusCode.UNAVAILABLE or not _HANDSHAKE.search(
        call.details() or ""
    ):
        return None
    return RemoteProblem(
        grpc.StatusCode.UNAVAILABLE,
        "TLS_HANDSHAKE_FAILED",
        "The service and the command line do not trust each other; check the authority, the "
        "certificate and the host name (--tls-authority, --tls-certificate, --tls-key).",
        "双方证书互不信任; 请检查证书颁发机构、客户端证书和主机名 "
        "(--tls-authority, --tls-certificate, --tls-key)。",
    )


def _exit(sentence: str, code: int) -> None:
    typer.echo(sentence, err=True)
    raise typer.Exit(code)


def is_chinese() -> bool:
    """Whether the user's locale is Chinese."""
    language = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG")
    return (language or "").startswith("zh")
