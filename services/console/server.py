"""The console in a process: its application on an HTTP server, with sessions and channels."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

from services.console.app import Console
from services.console.backend import Backend
from services.console.credentials import DevelopmentCredentials
from services.console.provider import Provider
from services.console.sessions import SessionStore
from services.console.settings import ConsoleSettings
from services.console.sign_in import Door
from services.runtime.base.clock import Clock
from services.runtime.base.refusals import StartRefusedError
from services.runtime.base.settings import Environment, Settings
from services.runtime.rpc.tokens import Issuer
from services.runtime.service.http_connections import HttpLimits
from services.runtime.service.http_server import RunningHttp, serving_http
from services.runtime.service.risks import Risks, check_database
from services.runtime.service.tls import client_credentials
from services.runtime.storage.database import Database

SERVICE = "console"


def listen_address(settings: Settings, console_settings: ConsoleSettings) -> str:
    """Where the console listens, unless its caller says otherwise."""
    return console_settings.address or settings.default_console_address


@asynccontextmanager
async def serving(
    settings: Settings,
    console_settings: ConsoleSettings,
    addresses: Mapping[str, str],
    clock: Clock,
    *,
    address: str = "",
) -> AsyncIterator[RunningHttp]:
    """Serve while the block runs. Raises StartRefusedError.

    `addresses` has those of the services; `address` is in place of that of the settings, and port 0
    takes a free one.
    """
    database_url = settings.database_of(SERVICE)
    if not database_url:
        raise StartRefusedError("set OIP_DATABASE_URL or OIP_CONSOLE_DATABASE_URL to the database")
    backend = Backend(addresses, client_credentials(settings))
    database = Database(database_url, SERVICE, pool_size=settings.pool_size)
    sessions = SessionStore(
        database,
        clock,
        timedelta(minutes=console_settings.idle_minutes),
        timedelta(hours=console_settings.session_hours),
    )
    limits = HttpLimits(
        console_settings.connections,
        console_settings.connections_per_peer,
        console_settings.head_seconds,
        console_settings.idle_seconds,
    )
    try:
        await database.check()
        await check_database(Risks(settings), database)
        door = _door(settings, console_settings, backend, clock)
        console = Console(console_settings, backend, sessions, door, clock)
        async with serving_http(
            SERVICE,
            console.application(),
            settings,
            limits,
            address or listen_address(settings, console_settings),
        ) as running:
            console.url = console.url or running.url
            try:
                yield running
            finally:
                await console.uploads.close()
    finally:
        await backend.close()
        await database.close()


def _door(settings: Settings, console: ConsoleSettings, backend: Backend, clock: Clock) -> Door:
    """The provider if one is set; else, in development alone, the choice of a person."""
    if console.oidc_issuer:
        if not console.oidc_client_id or not console.url.startswith(("https://", "http://127.")):
            raise StartRefusedError(
                "set OIP_CONSOLE_OIDC_CLIENT_ID, and OIP_CONSOLE_URL to the https:// address at "
                "which browsers reach the console"
            )
        is_clear = not console.oidc_issuer.startswith("https://")
        if is_clear and settings.environment is not Environment.DEV:
            raise StartRefusedError("OIP_CONSOLE_OIDC_ISSUER has to begin with https://")
        return Door(backend, provider=Provider(console, clock))
    if settings.environment is not Environment.DEV:
        raise StartRefusedError("set OIP_CONSOLE_OIDC_ISSUER to the identity provider")
    issuer = Issuer.at(settings.signing_key_path, settings.jwks_path, clock)
    return Door(backend, development=DevelopmentCredentials(issuer, backend, clock))
