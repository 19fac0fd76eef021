"""Settings come from the environment, and every service can have its own database."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.runtime.base.settings import Environment, Settings
from services.runtime.base.tenant_limits import Limits


def test_without_an_environment_everything_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OIP_DATABASE_URL", "OIP_NATS_URL", "OIP_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    settings = Settings()

    assert (settings.database_url, settings.nats_url) == ("", "")
    assert settings.state_dir == Path(".local")
    assert settings.environment is Environment.DEV
    assert settings.addresses["enrolment"] == "127.0.0.1:51001"
    assert settings.addresses["fund"] == "127.0.0.1:51007"


def test_a_service_may_have_a_database_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OIP_DATABASE_URL", "postgresql://common/oip")
    monkeypatch.setenv("OIP_ORDERS_DATABASE_URL", "postgresql://big/oip")
    settings = Settings()

    assert settings.database_of("orders") == "postgresql://big/oip"
    assert settings.database_of("claims") == "postgresql://common/oip"


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OIP_FUND_ADDRESS", "")
    assert Settings().fund_address == "127.0.0.1:51007"


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
    assert Settings().health_port_of(51002) == 52002
    assert Settings().health_port_of(0) == 0
    monkeypatch.setenv("OIP_HEALTH_PORT", "9000")
    assert Settings().health_port_of(51002) == 9000
