"""The console's process: it serves until SIGTERM or SIGINT. It needs a database and no NATS."""

from __future__ import annotations

import asyncio
import sys

from pydantic import ValidationError

from services.console.server import serving
from services.console.settings import ConsoleSettings
from services.runtime.base import log as logs
from services.runtime.base.clock import SystemClock
from services.runtime.base.log import logger
from services.runtime.base.settings import Settings, sentence_of_setting
from services.runtime.service.serve import (
    EXIT_FAILED,
    arm_watchdog,
    keep_what_is_loaded,
    stop_signal,
)
from services.runtime.service.start_refusals import sentence_of, settings_or_exit

log = logger("console")


def run() -> None:
    """Serve until a signal; a known reason not to start is one sentence."""
    settings = settings_or_exit()
    logs.configure(quiet=settings.quiet)
    sys.exit(asyncio.run(_run(settings, console_settings_or_exit())))


def console_settings_or_exit() -> ConsoleSettings:
    """The settings of the environment; ends the process if one has no possible value."""
    try:
        return ConsoleSettings()
    except ValidationError as error:
        sys.exit(sentence_of_setting(error, "OIP_CONSOLE_"))


async def _run(settings: Settings, console_settings: ConsoleSettings) -> int:
    stop = stop_signal()
    try:
        async with serving(settings, console_settings, settings.addresses, SystemClock()):
            keep_what_is_loaded()
            await stop.wait()
            arm_watchdog()
    except Exception as error:
        sentence = sentence_of(error, settings, "console")
        if sentence is None:
            log.exception("console_failed", error=str(error))
        else:
            sys.stderr.write(f"{sentence}\n")
        return EXIT_FAILED
    return 0
