"""Settings of the gateway from the environment, with the prefix `OIP_GATEWAY_`.

Addresses of the services, TLS and the host to listen on are those of every process
(services/runtime/base/settings.py).
"""

from __future__ import annotations

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.runtime.base.settings import require_address


class GatewaySettings(BaseSettings):
    """Where the gateway listens, and what its callers may have under way."""

    model_config = SettingsConfigDict(
        env_prefix="OIP_GATEWAY_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    # Default: OIP_PORT_BASE + 79 on this machine.
    address: str = ""
    # Where batches of orders go; default: the orders service (deploy/README.md).
    intake_address: str = ""

    # Connections of all callers, and of one address; behind a proxy all have the proxy's address.
    connections: int = Field(default=1024, ge=1)
    connections_per_peer: int = Field(default=256, ge=1)
    # Calls and uploads under way, and how many of these one address may have.
    calls: int = Field(default=256, ge=1)
    calls_per_peer: int = Field(default=64, ge=1)
    uploads: int = Field(default=16, ge=1)
    uploads_per_peer: int = Field(default=8, ge=1)
    # How large an upload may be, as it is after decompression.
    upload_mebibytes: int = Field(default=512, ge=1)
    # How long a caller has for the head of a request, for the body of a call, for the first batch
    # of an upload, and between two pieces of an upload or of an answer.
    head_seconds: float = Field(default=10.0, gt=0)
    body_seconds: float = Field(default=10.0, gt=0)
    first_batch_seconds: float = Field(default=60.0, gt=0)
    idle_seconds: float = Field(default=30.0, gt=0)

    @field_validator("address", "intake_address")
    @classmethod
    def _require_addresses(cls, value: str) -> str:
        return require_address(value) if value else value
