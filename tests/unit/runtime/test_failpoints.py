"""Failpoints: named, listed, and without effect until one is set."""

from __future__ import annotations

import pytest

from services.runtime.base import failpoints
from services.runtime.base.failpoints import FailpointError, failpoint


async def test_a_failpoint_does_nothing_until_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OIP_FAILPOINT", raising=False)
    for name in failpoints.NAMES:
        await failpoint(name)
    monkeypatch.setenv("OIP_FAILPOINT", "relay.after_mark:raise")
    await failpoint("relay.after_publish")
    with pytest.raises(FailpointError):
        await failpoint("relay.after_mark")


async def test_a_failpoint_with_an_unknown_action_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OIP_FAILPOINT", "relay.after_mark:explode")
    with pytest.raises(ValueError, match="kill, raise or sleep"):
        await failpoint("relay.after_mark")


async def test_a_failpoint_that_is_not_listed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OIP_FAILPOINT", "relay.after_mark:raise")
    with pytest.raises(ValueError, match=r"failpoints\.NAMES"):
        await failpoint("nowhere")
