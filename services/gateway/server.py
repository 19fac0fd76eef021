"""The gateway in a process: its application on an HTTP server, with channels to the services."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from services.gateway.app import application
from services.gateway.services import Services
from services.gateway.settings import GatewaySettings
from services.runtime.base.settings import Settings
from services.runtime.service.http_connections import HttpLimits
from services.runtime.service.http_server import RunningHttp, serving_http
from services.runtime.service.tls import client_credentials


def listen_address(settings: Settings, gateway_settings: GatewaySettings) -> str:
    """Where the gateway listens, unless its caller says otherwise."""
    return gateway_settings.address or settings.default_gateway_address


@asynccontextmanager
async def serving(
    settings: Settings,
    gateway_settings: GatewaySettings,
    addresses: Mapping[str, str],
    *,
    address: str = "",
) -> AsyncIterator[RunningHttp]:
    """Serve while the block runs. Raises StartRefusedError.

    `addresses` has those of the services; `address` is in place of that of the settings, and port 0
    takes a free one.
    """
    services = Services(addresses, client_credentials(settings), gateway_settings.intake_address)
    limits = HttpLimits(
        gateway_settings.connections,
        gateway_settings.connections_per_peer,
        gateway_settings.head_seconds,
        gateway_settings.idle_seconds,
    )
    try:
        async with serving_http(
            "gateway",
            application(services, gateway_settings),
            settings,
            limits,
            address or listen_address(settings, gateway_settings),
        ) as running:
            yield running
    finally:
        await services.close()
