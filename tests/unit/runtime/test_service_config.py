"""The service config repeats what the protos mark as idempotent, and nothing else."""

from __future__ import annotations

import json

import pytest
from google.protobuf.descriptor import MethodDescriptor

from services.gateway.methods import described_methods
from services.runtime.rpc.access import rule_in
from services.runtime.rpc.service_config import (
    BUDGET_MAX,
    TOKENS_MAX,
    TRIES_MAX,
    service_config,
    service_config_text,
)

METHODS = list(described_methods())
SERVICES = {method.containing_service.full_name: method.containing_service for method in METHODS}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
def test_a_unary_method_is_repeated_if_it_is_idempotent(method: MethodDescriptor) -> None:
    rule = rule_in(method)
    assert rule is not None
    is_unary = not (method.client_streaming or method.server_streaming)
    config = service_config([method.containing_service])
    repeated = [name["method"] for each in config["methodConfig"] for name in each["name"]]

    assert (method.name in repeated) == (is_unary and rule.idempotent)


def test_calls_are_spread_and_repeats_have_a_budget() -> None:
    config = json.loads(service_config_text(SERVICES.values()))

    assert config["loadBalancingConfig"] == [{"round_robin": {}}]
    assert config["retryThrottling"]["maxTokens"] == TOKENS_MAX == 2 * BUDGET_MAX
    (entry,) = config["methodConfig"]
    assert entry["retryPolicy"]["maxAttempts"] == TRIES_MAX
    assert {name["service"] for name in entry["name"]} <= set(SERVICES)


def test_a_service_that_nobody_describes_is_spread_only() -> None:
    assert service_config([])["methodConfig"] == []
