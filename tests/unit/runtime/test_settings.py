"""Settings come from the environment, and every service can have its own database."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from services.gateway.process import gateway_settings_or_exit
from services.runtime.base.settings import Environment, Settings
from services.runtime.base.tenant_limits import Limits
from services.runtime.service.ports import PortsTakenError, require_free_ports
from services.runtime.service.start_refusals import settings_or_exit


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


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("OIP_DATABASE_URL", "garbage", "postgresql://login:password@host:5432/database"),
        ("OIP_CLAIMS_DATABASE_URL", "postgresql://u:p@[::1/x", "postgresql://login"),
        ("OIP_DATABASE_URL", "mysql://host/oip", "postgresql://login"),
        ("OIP_NATS_URL", "garbage", "nats://host:port"),
        ("OIP_NATS_URL", "nats://a:4222,http://b", "nats://host:port"),
        ("OIP_NATS_URL", "nats://a:99999", "nats://host:port"),
        ("OIP_NATS_REPLICAS", "0", "greater than or equal to 1"),
        ("OIP_CLAIMS_ADDRESS", "nonsense", "host:port"),
        ("OIP_CLAIMS_ADDRESS", "127.0.0.1:1x", "host:port"),
        ("OIP_CLAIMS_ADDRESS", "127.0.0.1:99999", "host:port"),
        ("OIP_HEALTH_PORT", "99999", "less than or equal to 65535"),
        ("OIP_HEALTH_PORT", "-1", "greater than or equal to 0"),
        ("OIP_POOL_SIZE", "0", "greater than or equal to 1"),
        ("OIP_PROVINCE", "xyz", "match pattern"),
        ("OIP_LIMITS__PLATFORM__CALLS", "0", "greater than or equal to 1"),
    ],
)
def test_a_value_that_no_process_can_use_is_one_sentence_with_the_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as caught:
        settings_or_exit()

    assert str(caught.value).startswith(f"{variable} cannot be used: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_reserve_leaves_some_calls_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OIP_LIMITS__RESERVED_CALLS", "256")
    with pytest.raises(SystemExit, match=r"OIP_LIMITS cannot be used: .*RESERVED_CALLS"):
        settings_or_exit()


@pytest.mark.parametrize("address", ["gateway", "127.0.0.1:1x", ":51080", "a:b:1", "h:70000"])
def test_an_address_of_the_gateway_is_host_and_port(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("OIP_GATEWAY_ADDRESS", address)
    with pytest.raises(SystemExit, match=r"OIP_GATEWAY_ADDRESS cannot be used: .*host:port"):
        gateway_settings_or_exit()


def test_addresses_of_hosts_and_of_both_families_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for address in ("claims:51004", "[::1]:51004", "10.0.0.1:0", "claims.oip.svc:51004"):
        monkeypatch.setenv("OIP_CLAIMS_ADDRESS", address)
        assert settings_or_exit().claims_address == address
