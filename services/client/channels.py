"""Channels to the services, and the refusals that calls over them end with."""

from __future__ import annotations

from services.runtime.rpc.client import Channels, RemoteProblem, problem_of

__all__ = ["Channels", "RemoteProblem", "problem_of"]
