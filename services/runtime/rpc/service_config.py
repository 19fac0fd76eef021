"""The gRPC service config of a service: its retries and balance, from the protos' access option.

gRPC itself repeats a unary call of an idempotent method after UNAVAILABLE or RESOURCE_EXHAUSTED,
while a budget lasts, so that repeats do not overload a failing service. Calls go round the replicas
whose addresses the name service gives. The same text serves clients in other languages:
`protos/service-config.json`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from services.runtime.rpc.access import rule_in

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.descriptor import ServiceDescriptor

TRIES_MAX = 3
# gRPC spreads each wait by a fifth in both directions.
FIRST_WAIT = "0.2s"
LONGEST_WAIT = "2s"
# A failed try takes a token, an answered call gives back a part of one; calls are repeated while
# more than half of the tokens are there.
TOKENS_MAX = 20
TOKENS_PER_CALL = 0.1
# So many repeats in a row without an answered call.
BUDGET_MAX = TOKENS_MAX // 2


def service_config(services: Iterable[ServiceDescriptor]) -> dict[str, Any]:
    """The service config for channels on which these services are called."""
    names = [
        {"service": service.full_name, "method": method.name}
        for service in services
        for method in service.methods
        if (rule := rule_in(method)) and rule.idempotent
        # Only the reader of a stream knows how far it came.
        if not (method.client_streaming or method.server_streaming)
    ]
    policy = {
        "maxAttempts": TRIES_MAX,
        "initialBackoff": FIRST_WAIT,
        "maxBackoff": LONGEST_WAIT,
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
    }
    return {
        "loadBalancingConfig": [{"round_robin": {}}],
        "retryThrottling": {"maxTokens": TOKENS_MAX, "tokenRatio": TOKENS_PER_CALL},
        "methodConfig": [{"name": names, "retryPolicy": policy}] if names else [],
    }


def service_config_text(services: Iterable[ServiceDescriptor]) -> str:
    """The service config as the channel option `grpc.service_config` takes it."""
    return json.dumps(service_config(services))
