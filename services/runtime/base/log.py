"""Logs: one JSON object per line on stderr; a constant event with fields, no personal data.

Call `configure` once, before grpc is imported: configuring logging later can deadlock with the
threads of grpc.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog


def configure(*, quiet: bool = False, sink: TextIO | None = None) -> None:
    """Write structured lines to stderr or `sink`; `quiet` keeps warnings and errors only."""
    target = sink or sys.stderr
    level = logging.WARNING if quiet else logging.INFO
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendered: list[structlog.typing.Processor] = [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]
    structlog.configure(
        processors=[*shared, *rendered],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(target),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    # The client logs every lost connection with a trace; jetstream.py logs their names.
    logging.getLogger("nats").setLevel(logging.CRITICAL)


def logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger that adds the name of the writing part to its lines."""
    bound: structlog.typing.FilteringBoundLogger = structlog.get_logger(part=name)
    return bound
