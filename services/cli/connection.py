"""Where the command line stands: which stack it talks to, as whom, and how it says no.

Exit codes: 0 done, 1 a check failed, 2 refused or used wrongly, 3 a service could not be reached,
4 done, but for some rows that were refused.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import grpc
import typer
from typer.core import TyperGroup

from services.cli.tls import Tls, TlsWrong
from services.kernel.problems import Problem
from services.runtime.base.clock import SystemClock
from services.runtime.base.settings import Environment, Settings
from services.runtime.rpc.client import Channels, RemoteProblem, problem_of
from services.runtime.rpc.tokens import Issuer
from services.runtime.service.addresses import published_addresses

R = TypeVar("R")

EXIT_CHECK_FAILED = 1
EXIT_REFUSED = 2
EXIT_UNREACHABLE = 3
EXIT_ROWS_REFUSED = 4
_HANDSHAKE = re.compile("handshake|CERTIFICATE_VERIFY|SSL_ERROR", re.IGNORECASE)


class Refused(Exception):  # noqa: N818 - a refusal is not an error of the program
    """What the command line itself refuses, in one sentence that says what to do."""


@dataclass(frozen=True)
class Desk:
    """The stack to talk to and how, and the token to show; development issues its own."""

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
            where = settings.state_dir
            raise Refused(
                f"There is no development stack in {where} to issue a token; start one with "
                "`make dev`, name its folder with --state-dir, or give a token with --token."
            )
        return Issuer.at(settings.signing_key_path, settings.jwks_path, SystemClock())

    @asynccontextmanager
    async def channels(self, *roles: str, platform: str = "") -> AsyncIterator[Channels]:
        """Channels to all services, as the token says or in development with these roles."""
        if self.token:
            source: Callable[[], str] = self._given
        else:
            source = self.issuer().source(_user(), roles, platform)
        try:
            credentials = self.tls.credentials()
        except TlsWrong as wrong:
            raise Refused(f"{wrong}; see --tls-authority, --tls-certificate, --tls-key.") from wrong
        channels = Channels(self.addresses, source, credentials)
        try:
            yield channels
        finally:
            await channels.close()

    def _given(self) -> str:
        return self.token


class OneSentence(TyperGroup):
    """The one place where what goes wrong becomes a sentence on stderr and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; refusals end it without a trace."""
        try:
            return super().invoke(ctx)
        except grpc.RpcError as error:
            _end(_told_of_handshake(error) or problem_of(error))
        except RemoteProblem as problem:
            _end(problem)
        except Problem as problem:
            _say(in_words(problem), EXIT_REFUSED)
        except Refused as refusal:
            _say(str(refusal), EXIT_REFUSED)


def run(work: Callable[[], Awaitable[R]]) -> R:
    """Run a command's calls on an event loop of its own."""

    async def running() -> R:
        return await work()

    return asyncio.run(running())


def desk_of(context: typer.Context) -> Desk:
    """The desk that the options before the command describe."""
    desk = context.find_root().obj
    assert isinstance(desk, Desk)
    return desk


def _end(problem: RemoteProblem) -> None:
    code = EXIT_UNREACHABLE if problem.is_unreachable else EXIT_REFUSED
    _say(in_words(problem), code)


def _told_of_handshake(error: grpc.RpcError) -> RemoteProblem | None:
    """What to do about two sides that do not trust each other; None for any other error."""
    call = cast("grpc.aio.AioRpcError", error)
    if call.code() is not grpc.StatusCode.UNAVAILABLE or not _HANDSHAKE.search(
        call.details() or ""
    ):
        return None
    return RemoteProblem(
        grpc.StatusCode.UNAVAILABLE,
        "TLS_HANDSHAKE_FAILED",
        "The service and we do not trust each other; check the authority, the certificate and "
        "the host's name (--tls-authority, --tls-certificate, --tls-key).",
        "双方证书互不信任; 请检查证书颁发机构、客户端证书和主机名 "
        "(--tls-authority, --tls-certificate, --tls-key)。",
    )


def in_words(problem: RemoteProblem | Problem) -> str:
    """A refusal in the language of who reads it."""
    return problem.sentence_zh if _in_chinese() else problem.sentence


def _say(sentence: str, code: int) -> None:
    typer.echo(sentence, err=True)
    raise typer.Exit(code)


def _in_chinese() -> bool:
    language = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG")
    return (language or "").startswith("zh")


def _user() -> str:
    return f"oip-{os.environ.get('USER') or os.getuid()}"
