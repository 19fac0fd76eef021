"""Settings from the environment, all with the prefix `OIP_`."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.runtime.base.tenant_limits import Limits

ADDRESS = "_address"
HEALTH_PORT_OFFSET = 1_000
PORT_MAX = 65_535
_HOST_AND_PORT = re.compile(r"(?:\[[0-9a-fA-F:.%]+\]|[^:/\s\[\]]+):([0-9]{1,5})")


class Environment(Enum):
    """Where the system runs. Development makes its own keys and serves reflection."""

    DEV = "dev"
    PRODUCTION = "production"


# How far the JSON door and the pages are from the first port.
GATEWAY_OFFSET = 79
CONSOLE_OFFSET = 89


class Settings(BaseSettings):
    """What may differ from one deployment to another.

    Without `database_url` or `nats_url` the server of the wheel is started in its place
    (services/runtime/embedded). Files default to places below `state_dir`.
    """

    model_config = SettingsConfigDict(
        env_prefix="OIP_",
        env_ignore_empty=True,
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
        frozen=True,
        extra="ignore",
    )

    environment: Environment = Environment.DEV
    state_dir: Path = Path(".local")
    quiet: bool = False
    # The division code of the province that this deployment serves.
    province: str = Field(default="440000", pattern=r"^[1-9][0-9]0000$")

    database_url: str = ""
    enrolment_database_url: str = ""
    orders_database_url: str = ""
    premiums_database_url: str = ""
    claims_database_url: str = ""
    grading_database_url: str = ""
    benefits_database_url: str = ""
    fund_database_url: str = ""
    staff_database_url: str = ""
    console_database_url: str = ""
    pool_size: int = Field(default=8, ge=1)

    nats_url: str = ""
    # The URL of the server's monitoring; default: port 8222 of the first server's host.
    nats_monitor_url: str = ""
    nats_replicas: int = Field(default=1, ge=1, le=5)
    # The private key (PEM) of this process as a user of NATS (base/nats_keys.py), or, where one
    # process has several users, the folder of their keys, `{user}.pem`.
    nats_key_file: Path | None = None
    nats_key_dir: Path | None = None
    # The authority (PEM) of the servers' certificates, if it is not one of the system; with `tls://`
    # in the URL.
    nats_authority_file: Path | None = None

    # Where services listen on one machine: this port and the next ones, in the order of the
    # addresses. It lies below the ports that Linux gives to connections, from 32768 on.
    port_base: int = Field(default=21_001, ge=1024, le=64_000)
    enrolment_address: str = ""
    orders_address: str = ""
    premiums_address: str = ""
    claims_address: str = ""
    grading_address: str = ""
    benefits_address: str = ""
    fund_address: str = ""
    staff_address: str = ""

    # The port of this process for probes; default: 1,000 above that of the service.
    health_port: int = Field(default=0, ge=0, le=PORT_MAX)
    # What callers may have under way, by tenant (base/tenant_limits.py).
    limits: Limits = Limits()

    # The host to listen on, if it differs from the host that others call.
    listen_host: str = ""

    # Keys of encrypted columns and of the blind index (storage/crypto.py).
    keys_file: Path | None = None
    # The command that wraps and unwraps the keys of that file (storage/key_wrapping.py); without it
    # they stand there in the clear.
    key_wrap_command: str = ""
    # Who may issue tokens, with which keys (rpc/issuers.py), and the `jti` of revoked tokens, one a
    # line. Development has an issuer of its own, whose private key signs tokens.
    issuers_file: Path | None = None
    revoked_tokens_file: Path | None = None
    signing_key_file: Path | None = None
    # The private key (PEM) with which this process signs its events, and the folder of all
    # producers' public keys (events/event_keys.py).
    event_key_file: Path | None = None
    event_trust_dir: Path | None = None
    # The token of this process for calls to other services; an orchestrator writes and renews it.
    token_file: Path | None = None
    # Transport security of the gRPC servers; all three together mean mutual TLS.
    tls_certificate_file: Path | None = None
    tls_key_file: Path | None = None
    tls_client_authority_file: Path | None = None

    # Risks that production runs with although it would refuse them (service/risks.py), by commas.
    accepted_risks: str = ""

    @field_validator("*")
    @classmethod
    def _require_form(cls, value: object, info: ValidationInfo) -> object:
        name = info.field_name or ""
        if value and name.endswith(ADDRESS):
            return require_address(str(value))
        if value and name == "nats_url":
            for url in str(value).split(","):
                _require_nats(url.strip())
        return value

    def database_of(self, service: str) -> str:
        """The database URL of a service: its own, or the common one."""
        url: str = getattr(self, f"{service}_database_url", "")
        return url or self.database_url

    @property
    def addresses(self) -> dict[str, str]:
        """Where every service listens, `host:port` by its name."""
        return {
            name: getattr(self, f"{name}{ADDRESS}") or f"127.0.0.1:{port}"
            for port, name in enumerate(service_names(), self.port_base)
        }

    @property
    def default_gateway_address(self) -> str:
        """Where the JSON door listens on this machine, unless OIP_GATEWAY_ADDRESS is set."""
        return f"127.0.0.1:{self.port_base + GATEWAY_OFFSET}"

    @property
    def default_console_address(self) -> str:
        """Where the pages are on this machine, unless OIP_CONSOLE_ADDRESS is set."""
        return f"127.0.0.1:{self.port_base + CONSOLE_OFFSET}"

    def health_port_of(self, port: int) -> int:
        """The port for probes of the service that listens on `port`; 0 takes a free one."""
        return self.health_port or (port + HEALTH_PORT_OFFSET if port else 0)

    def nats_key_path(self, user: str) -> Path:
        """The private key of a user of NATS."""
        folder = self.nats_key_dir or self.state_dir / "keys" / "nats"
        return self.nats_key_file or folder / f"{user}.pem"

    @property
    def event_trust_path(self) -> Path:
        """The folder of the public keys that verify events."""
        return self.event_trust_dir or self.state_dir / "keys" / "events"

    def event_key_path(self, service: str) -> Path:
        """The private key with which a service signs its events."""
        return self.event_key_file or self.state_dir / "keys" / "events" / f"{service}.pem"

    @property
    def keys_path(self) -> Path:
        """The file of column keys."""
        return self.keys_file or self.state_dir / "keys" / "columns.json"

    @property
    def jwks_path(self) -> Path:
        """The file of the development issuer's public key."""
        return self.state_dir / "keys" / "jwks.json"

    @property
    def issuers_path(self) -> Path:
        """The file of the issuers of tokens."""
        return self.issuers_file or self.state_dir / "keys" / "issuers.toml"

    @property
    def signing_key_path(self) -> Path:
        """The file of the private token key."""
        return self.signing_key_file or self.state_dir / "keys" / "signing.json"


def sentence_of_setting(error: ValidationError, prefix: str = "OIP_") -> str:
    """The sentence for the first variable of the environment that has no possible value."""
    first = error.errors(include_url=False)[0]
    name = "__".join(str(part) for part in first["loc"]).upper()
    return f"{prefix}{name} cannot be used: {first['msg']}"


def require_address(text: str) -> str:
    """An address as it is; raises ValueError unless it is written as `host:port`."""
    parts = _HOST_AND_PORT.fullmatch(text)
    if parts is None or int(parts[1]) > PORT_MAX:
        message = f"{text!r} is not written as host:port"
        raise ValueError(message)
    return text


def _require_nats(url: str) -> None:
    """Raise ValueError unless a URL names a NATS server."""
    try:
        parts = urlsplit(url)
        is_server = parts.scheme in {"nats", "tls"} and parts.hostname and parts.port != 0
    except ValueError:
        is_server = False
    if not is_server:
        message = "write it as nats://host:port or tls://host:port"
        raise ValueError(message)


def service_names() -> tuple[str, ...]:
    """The services, in the order of their ports."""
    fields = Settings.model_fields
    return tuple(name.removesuffix(ADDRESS) for name in fields if name.endswith(ADDRESS))
