"""Log lines: one JSON object each, on stderr."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from services.runtime.base import log as logs


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


def test_a_log_line_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    logs.logger("claims").info("claim_determined", claim="claims/1", outcome="确认")
    logging.getLogger("library").warning("something %s", "odd")

    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert first["event"] == "claim_determined"
    assert (first["part"], first["outcome"], first["level"]) == ("claims", "确认", "info")
    assert second["event"] == "something odd"


def test_quiet_keeps_warnings_only(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(quiet=True)
    logs.logger("x").info("not_shown")
    logs.logger("x").warning("shown")

    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["shown"]
