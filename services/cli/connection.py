"""How the command line reaches a stack: its addresses, as whom, and the one way to call it."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import typer

from services.cli.apis import Api
from services.cli.refusals import Refused, unreadable
from services.cli.tls import Tls, TlsWrong
from services.cli.view import language
from services.client.channels import Channels, NamingChannels, RemoteProblem
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.kernel.phrases import Language
from services.kernel.problems import Problem
from services.runtime.base.clock import SystemClock
from services.runtime.base.settings import Environment, Settings
from services.runtime.rpc.certificates import thumbprint
from services.runtime.rpc.tokens import Issuer
from services.runtime.service.addresses import published_addresses

__all__ = ["Refused"]

R = TypeVar("R")
Stub = TypeVar("Stub")

# The person in whose name the command line acts on a development stack; it has every role there.
DEVELOPER = "developer"
PAGE_SIZE = 1000

EXIT_CHECK_FAILED = 1
EXIT_REFUSED = 2
EXIT_UNREACHABLE = 3
EXIT_ROWS_REFUSED = 4
EXIT_INTERRUPTED = 130
# As a shell says of a program that SIGPIPE ended.
EXIT_PIPE_CLOSED = 141

_YUAN = re.compile(r"\d{1,13}(\.\d{1,2})?", re.ASCII)
# The id of a request whose outcome is not known yet.
_under_way: ContextVar[str] = ContextVar("under_way", default="")


@dataclass(frozen=True)
class Connection:
    """The stack to call, the token to call with (development issues one), and TLS files."""

    settings: Settings
    token: str = ""
    tls: Tls = field(default_factory=Tls)
    token_file: Path | None = None

    @property
    def addresses(self) -> Mapping[str, str]:
        """`host:port` by service: of the stack that runs in the state folder, or as set."""
        return published_addresses(self.settings.state_dir) or self.settings.addresses

    def issuer(self) -> Issuer:
        """The issuer of the development stack in the state folder."""
        settings = self.settings
        if settings.environment is not Environment.DEV or not settings.signing_key_path.exists():
            raise Refused(
                "There is no development stack in {folder} to issue a token; start one with "
                "`make dev`, name its folder with --state-dir, or pass a token with --token or "
                "--token-file.",
                "{folder} 中没有可签发令牌的开发环境; 请执行 `make dev` 启动, 或以 --state-dir 指定"
                "其文件夹, 或以 --token 或 --token-file 提供令牌。",
                folder=settings.state_dir,
            )
        return Issuer.at(settings.signing_key_path, settings.jwks_path, SystemClock())

    def call(
        self,
        api: Api[Stub],
        work: Callable[[Stub], Awaitable[R]],
        *roles: str,
        platform: str = "",
    ) -> R:
        """The answer of an API to one or several calls, made with the token.

        On a development stack the token has these roles, by default that of the API.
        """

        async def finished() -> R:
            async with self.channels(*(roles or (api.role,)), platform=platform) as channels:
                return await work(channels.stub(api.stub, api.service))

        return run(finished)

    @asynccontextmanager
    async def channels(self, *roles: str, platform: str = "") -> AsyncIterator[Channels]:
        """Channels to all services with the token, or in development with one of these roles."""
        try:
            credentials = self.tls.credentials()
        except TlsWrong as wrong:
            raise Refused(
                "{what}; see --tls-authority, --tls-certificate, --tls-key.",
                "{what}; 参见 --tls-authority、--tls-certificate、--tls-key。",
                what=wrong.phrase,
            ) from wrong
        channels = NamingChannels(self.addresses, self._source(roles, platform), credentials)
        try:
            yield channels
        finally:
            await channels.close()

    def _source(self, roles: tuple[str, ...], platform: str) -> Callable[[], str]:
        if self.token:
            return lambda: self.token
        if self.token_file is not None:
            return lambda: _token_in(self.token_file)
        file = self.tls.certificate
        certificate = thumbprint(file.read_bytes()) if file is not None else b""
        return self.issuer().source(DEVELOPER, roles, platform, certificate=certificate)


def _token_in(file: Path | None) -> str:
    """The token in a file, read for each call because it may have been renewed."""
    assert file is not None
    try:
        token = file.read_text(encoding="ascii").strip()
    except OSError as error:
        raise unreadable(file, error) from error
    except UnicodeDecodeError:
        token = ""
    if not token:
        raise Refused(
            "{file} holds no token; write the token alone into it.",
            "{file} 中没有令牌; 请仅写入令牌。",
            file=file,
        )
    return token


async def all_pages(call: Callable[[Any], Awaitable[Any]], request: Any, field_name: str) -> Any:
    """All rows of a list; `call` sends the request, whose page moves on."""
    rows: list[Any] = []
    request.page_size = PAGE_SIZE
    while True:
        page = await call(request)
        rows += getattr(page, field_name)
        request.page_token = page.next_page_token
        if not request.page_token:
            return rows


def run(work: Callable[[], Awaitable[R]]) -> R:
    """Run a command's calls on a new event loop."""

    async def finished() -> R:
        return await work()

    answer = asyncio.run(finished())
    _under_way.set("")
    return answer


def connection_of(context: typer.Context) -> Connection:
    """The connection that the options before the command describe."""
    connection = context.find_root().obj
    assert isinstance(connection, Connection)
    return connection


def new_request_id(step: str, earlier: str = "") -> str:
    """The id of a request: a new one, unless an earlier attempt is repeated."""
    request_id = earlier or f"{step}-{uuid.uuid4().hex}"
    _under_way.set(request_id)
    return request_id


def unanswered_request() -> str:
    """The id of the request that was sent and has no answer; empty if there is none."""
    return _under_way.get()


def month_of(text: str) -> Month:
    """The month in an argument, written as 2025-07. Raises Refused."""
    try:
        return Month.parse(text)
    except ValueError:
        raise Refused(
            "{text} is not a month; write it as 2025-07.",
            "{text} 不是月份; 请写作 2025-07。",
            text=text,
        ) from None


def day_of(text: str) -> date:
    """The day in an argument, written as 2025-07-01. Raises Refused."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    # ISO 8601 has further forms, such as weeks.
    if day is None or day.isoformat() != text:
        raise Refused(
            "{text} is not a day; write it as 2025-07-01.",
            "{text} 不是日期; 请写作 2025-07-01。",
            text=text,
        )
    return day


def fen_of(text: str) -> Fen:
    """The amount in an argument, in yuan with at most two decimals. Raises Refused."""
    if not _YUAN.fullmatch(text):
        raise Refused(
            "{text} is not an amount; write it in yuan, such as 1234.56.",
            "{text} 不是金额; 请以元为单位填写, 如 1234.56。",
            text=text,
        )
    return Fen.of_yuan(text)


def sentence_of(problem: RemoteProblem | Problem | Refused) -> str:
    """A refusal in the user's language."""
    return problem.sentence_zh if is_chinese() else problem.sentence


def is_chinese() -> bool:
    """Whether the user reads Chinese."""
    return language() is Language.ZH
