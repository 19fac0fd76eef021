"""Everything in one process: the servers from their wheels, all schemas, all services.

`python -m services`, the demonstration and the whole-system tests use it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import OperationalError

from services.runtime.base.clock import Clock, SystemClock
from services.runtime.base.settings import Settings
from services.runtime.embedded import CannotStartError, embedded
from services.runtime.events.jetstream import migrate_streams
from services.runtime.rpc.client import Channels
from services.runtime.rpc.tokens import Issuer
from services.runtime.service import delivery
from services.runtime.service.addresses import publish_addresses
from services.runtime.service.context import Service, ServiceContext
from services.runtime.service.host import OnCrash
from services.runtime.service.ports import require_free_ports
from services.runtime.service.serve import GRACE_SECONDS, serving_all
from services.runtime.storage.migrate import migrate
from services.runtime.storage.sessions import as_psycopg


@dataclass(frozen=True)
class Stack:
    """A running stack: settings with the servers' URLs, contexts by service, a token issuer."""

    settings: Settings
    clock: Clock
    contexts: Mapping[str, ServiceContext]
    issuer: Issuer

    @property
    def addresses(self) -> Mapping[str, str]:
        """`host:port` by service."""
        return {name: each.channels.addresses[name] for name, each in self.contexts.items()}

    def channels(self, subject: str, *roles: str, platform: str = "", **claims: Any) -> Channels:
        """Channels to all services with tokens of this subject; close them after use.

        `claims` are further claims of the tokens, such as `person`.
        """
        return Channels(self.addresses, self.issuer.source(subject, roles, platform, **claims))

    async def wait_until_delivered(self, seconds: float = 60.0) -> None:
        """Wait until all events have been consumed; see `delivery.wait_until_delivered`."""
        channels = self.channels("services/stack", "service")
        try:
            await delivery.wait_until_delivered(channels, self.contexts, seconds)
        finally:
            await channels.close()


@asynccontextmanager
async def stack(
    services: Iterable[Service],
    settings: Settings,
    *,
    clock: Clock | None = None,
    any_port: bool = False,
    grace: float = GRACE_SECONDS,
    on_crash: OnCrash | None = None,
    on_stage: Callable[[str], None] = lambda _stage: None,
    prepare: Callable[[Stack], Awaitable[None]] | None = None,
    compares: bool = True,
    further_addresses: Iterable[str] = (),
) -> AsyncIterator[Stack]:
    """Start servers without a URL, migrate, serve; stop everything in reverse order.

    `any_port` takes free ports instead of those of the settings. `on_stage` gets the name of each
    stage that begins, for a progress display. `prepare` runs before the addresses are
    published. `compares` is false only where databases share a nats-server that they did not fill,
    as in tests. `further_addresses` are to be free, too: the caller listens there afterwards.
    """
    declared = tuple(services)
    clock = clock or SystemClock()
    addresses = {service.name: "127.0.0.1:0" for service in declared} if any_port else None
    if not any_port:
        own = [settings.addresses[service.name] for service in declared]
        require_free_ports(settings, [*own, *further_addresses])
    on_stage("servers")
    async with embedded(settings) as filled:
        on_stage("schemas")
        for service in declared:
            await _migrate(filled.database_of(service.name), service.name)
        await migrate_streams(filled, {service.name: service.producers for service in declared})
        on_stage("services")
        async with serving_all(
            declared,
            filled,
            clock,
            addresses=addresses,
            grace=grace,
            on_crash=on_crash,
            compares=compares,
        ) as contexts:
            issuer = Issuer.at(filled.signing_key_path, filled.jwks_path, clock)
            running = Stack(filled, clock, contexts, issuer)
            if prepare is not None:
                await prepare(running)
            with publish_addresses(filled.state_dir, running.addresses):
                yield running


async def _migrate(url: str, service: str) -> None:
    try:
        await migrate(url, [service])
    except OperationalError as error:
        place = as_psycopg(url)
        raise CannotStartError(
            f"PostgreSQL at {place.host}:{place.port or 5432} cannot be used for {service} "
            f"({_first_line(error.orig)}); check OIP_DATABASE_URL."
        ) from error


def _first_line(error: object) -> str:
    return str(error).strip().partition("\n")[0]
