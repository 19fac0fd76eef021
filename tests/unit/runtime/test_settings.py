"""Settings come from the environment, and every service can have its own database."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from services.runtime.base.settings import Environment, Settings
from services.runtime.base.tenant_limits import Limits
from services.runtime.service.ports import PortsTakenError, require_free_ports


def test_without_an_environment_everything_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OIP_DATABASE_URL", "OIP_NATS_URL", "OIP_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    settings = Settings()

    assert (settings.database_url, settings.nats_url) == ("", "")
    assert settings.state_dir == Path(".local")
    assert settings.environment is Environment.DEV
    assert settings.addresses["enrolment"] == "127.0.0.1:21001"
    assert settings.addresses["fund"] == "127.0.0.1:21007"


def test_a_service_may_have_a_database_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OIP_DATABASE_URL", "postgresql://common/oip")
    monkeypatch.setenv("OIP_ORDERS_DATABASE_URL", "postgresql://big/oip")
    settings = Settings()

    assert settings.database_of("orders") == "postgresql://big/oip"
    assert settings.database_of("claims") == "postgresql://common/oip"


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OIP_FUND_ADDRESS", "")
    assert Settings().addresses["fund"] == "127.0.0.1:21007"


def test_one_setting_moves_all_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OIP_PORT_BASE", "23001")
    monkeypatch.setenv("OIP_CLAIMS_ADDRESS", "claims:4000")
    addresses = Settings().addresses

    assert addresses["enrolment"] == "127.0.0.1:23001"
    assert addresses["staff"] == "127.0.0.1:23008"
    assert addresses["claims"] == "claims:4000"


def test_default_ports_are_none_that_linux_gives_to_connections() -> None:
    settings = Settings()
    ports = [int(address.rpartition(":")[2]) for address in settings.addresses.values()]

    assert all(settings.health_port_of(port) < 32_768 for port in ports)


def test_all_ports_that_are_taken_are_named_together(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
            each.listen()
        taken = [each.getsockname()[1] for each in (one, other)]
        monkeypatch.setenv("OIP_CLAIMS_ADDRESS", f"127.0.0.1:{taken[0]}")
        monkeypatch.setenv("OIP_FUND_ADDRESS", f"127.0.0.1:{taken[1]}")

        with pytest.raises(PortsTakenError) as caught:
            require_free_ports(
                Settings(), [Settings().addresses["claims"], Settings().addresses["fund"]]
            )

    assert all(str(port) in str(caught.value) for port in taken)
    assert "OIP_PORT_BASE" in str(caught.value)


def test_key_files_lie_below_the_state_folder_unless_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OIP_STATE_DIR", "/somewhere")
    monkeypatch.setenv("OIP_ISSUERS_FILE", "/elsewhere/issuers.toml")
    settings = Settings()

    assert settings.keys_path == Path("/somewhere/keys/columns.json")
    assert settings.issuers_path == Path("/elsewhere/issuers.toml")


def test_one_limit_is_set_and_the_others_keep_their_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OIP_LIMITS__PLATFORM__STREAMS", "16")
    monkeypatch.setenv("OIP_LIMITS__CALLS", "512")
    limits = Settings().limits

    assert (limits.platform.streams, limits.calls) == (16, 512)
    assert limits.platform.calls == Limits().platform.calls
    assert limits.staff == Limits().staff


def test_probes_have_a_port_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().health_port_of(21002) == 22002
    assert Settings().health_port_of(0) == 0
    monkeypatch.setenv("OIP_HEALTH_PORT", "9000")
    assert Settings().health_port_of(21002) == 9000
