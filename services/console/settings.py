"""Settings of the console from the environment, with the prefix `OIP_CONSOLE_`.

Addresses of the services, TLS, the database and the host to listen on are those of every process
(services/runtime/base/settings.py).
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.runtime.base.settings import require_address


class ConsoleSettings(BaseSettings):
    """Where the console listens, how its users sign in, and what it takes from them."""

    model_config = SettingsConfigDict(
        env_prefix="OIP_CONSOLE_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    # Default: OIP_PORT_BASE + 89 on this machine.
    address: str = ""
    # The address in the browser, such as https://console.province.example; default: the one above.
    url: str = ""
    # The identity provider: its issuer URL, and this console as its client. Production needs them.
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret_file: Path | None = None
    # What the provider is asked for; `offline_access` gives tokens that can be renewed.
    oidc_scope: str = "openid"

    # A session ends after so long without a request, and after so long in any case.
    idle_minutes: int = Field(default=15, ge=1)
    session_hours: int = Field(default=8, ge=1, le=12)

    # Connections of all browsers, and of one address; behind a proxy all have the proxy's address.
    connections: int = Field(default=1024, ge=1)
    connections_per_peer: int = Field(default=256, ge=1)
    head_seconds: float = Field(default=10.0, gt=0)
    idle_seconds: float = Field(default=30.0, gt=0)
    # How large an uploaded file may be.
    upload_mebibytes: int = Field(default=50, ge=1)
    # How many uploaded files are read and sent at a time.
    uploads: int = Field(default=4, ge=1)

    @field_validator("address")
    @classmethod
    def _require_address(cls, value: str) -> str:
        return require_address(value) if value else value
