"""Whether the NATS servers sync every write to disk, as their monitoring says."""

from __future__ import annotations

import asyncio
import functools
import json
import urllib.request
from urllib.parse import urlsplit

from services.runtime.base.refusals import StartRefusedError
from services.runtime.base.settings import Settings
from services.runtime.events.patience import patiently

MONITOR_PORT = 8222
API_SECONDS = 5


class NatsUnreachableError(StartRefusedError):
    """The monitoring of a NATS server does not answer, so nothing is known about it."""

    def __init__(self, monitor: str, error: OSError) -> None:
        super().__init__(
            f"the monitoring of the NATS server at {monitor} does not answer ({error}); start the "
            "server, or set OIP_NATS_MONITOR_URL to where it answers"
        )


class NotSyncedError(StartRefusedError):
    """The NATS server may forget messages that it has acknowledged."""

    def __init__(self, monitor: str, fault: str) -> None:
        super().__init__(
            f"the NATS server at {monitor} {fault}, so a power cut could lose events it has "
            "acknowledged; write `jetstream { sync_interval: always }` into its configuration "
            "and restart it"
        )


async def check_sync(settings: Settings) -> None:
    """Require `sync_interval: always` of every server by its monitoring; raises NotSyncedError.

    Raises NatsUnreachableError for a server whose monitoring does not answer.
    """
    for monitor in monitors_of(settings):
        request = functools.partial(asyncio.to_thread, _jetstream_config, monitor)
        try:
            config = await patiently(request)
        except OSError as error:
            raise NatsUnreachableError(monitor, error) from error
        if "sync_always" not in config:
            raise NotSyncedError(monitor, "does not sync every write to disk")


def monitors_of(settings: Settings) -> list[str]:
    """The URLs of the servers' monitoring."""
    if settings.nats_monitor_url:
        return settings.nats_monitor_url.split(",")
    host = urlsplit(settings.nats_url.split(",", maxsplit=1)[0]).hostname
    return [f"http://{host}:{MONITOR_PORT}"]


def _jetstream_config(monitor: str) -> dict[str, object]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{monitor}/jsz?config=1", timeout=API_SECONDS) as answer:
        content = json.load(answer)
    if content.get("disabled"):
        raise NotSyncedError(monitor, "runs without JetStream")
    return {key: value for key, value in content.get("config", {}).items() if value}
