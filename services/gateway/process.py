"""The gateway's process: it serves until SIGTERM or SIGINT. It needs no database and no NATS."""

from __future__ import annotations

import asyncio
import sys

from pydantic import ValidationError

from services.gateway.server import serving
from services.gateway.settings import GatewaySettings
from services.runtime.base import log as logs
from services.runtime.base.log import logger
from services.runtime.base.settings import Settings, sentence_of_setting
from services.runtime.service.serve import (
    EXIT_FAILED,
    arm_watchdog,
    keep_what_is_loaded,
    stop_signal,
)
from services.runtime.service.start_refusals import (
    sentence_of,
    settings_or_exit,
)

log = logger("gateway")


def run() -> None:
    """Serve until a signal; a known reason not to start is one sentence."""
    settings = settings_or_exit()
    logs.configure(quiet=settings.quiet)
    sys.exit(asyncio.run(_run(settings, gateway_settings_or_exit())))


def gateway_settings_or_exit() -> GatewaySettings:
    """The settings of the environment; ends the process if one has no possible value."""
    try:
        return GatewaySettings()
    except ValidationError as error:
        sys.exit(sentence_of_setting(error, "OIP_GATEWAY_"))


async def _run(settings: Settings, gateway_settings: GatewaySettings) -> int:
    stop = stop_signal()
    try:
        async with serving(settings, gateway_settings, settings.addresses):
            keep_what_is_loaded()
            await stop.wait()
            arm_watchdog()
    except Exception as error:
        sentence = sentence_of(error, settings)
        if sentence is None:
            log.exception("gateway_failed", error=str(error))
        else:
            sys.stderr.write(f"{sentence}\n")
        return EXIT_FAILED
    return 0
