"""The deployment files match the services: secrets by service, and commands that exist."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from services.console.settings import ConsoleSettings
from services.gateway.settings import GatewaySettings
from services.runtime.base.nats_users import nats_users, users_file
from services.runtime.base.settings import Settings
from services.runtime.base.tenant_limits import Limits
from services.runtime.events.streams import stream_config
from services.runtime.rpc.server import LIVENESS, READINESS
from services.runtime.service.risks import Risk, Risks

DEPLOY = Path(__file__).parents[3] / "deploy"
DOCS = DEPLOY.parent / "docs"
COMPOSE = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
KUBERNETES = (DEPLOY / "kubernetes" / "base" / "services.yaml").read_text(encoding="utf-8")
KUSTOMIZATION = (DEPLOY / "kubernetes" / "base" / "kustomization.yaml").read_text(encoding="utf-8")
MIGRATE = (DEPLOY / "kubernetes" / "base" / "migrate.yaml").read_text(encoding="utf-8")
NATS = (DEPLOY / "nats.conf").read_text(encoding="utf-8")
README = (DEPLOY / "README.md").read_text(encoding="utf-8")
EVENT_KEYS = {f"{name}.pem" for name in Settings().addresses}
NATS_KEYS = {f"nats-{user}.pem" for user in nats_users()}
TOKENS = {f"token-{name}" for name in Settings().addresses}


def test_every_secret_of_a_service_is_a_file_of_the_deployment() -> None:
    _, _, section = COMPOSE.partition("\nsecrets:\n")
    files = set(
        re.findall(r"^  ([\w.-]+): \{file: \./secrets/(?:events/)?\1\}$", section, re.MULTILINE)
    )
    services = COMPOSE.removesuffix(section)
    files |= {
        f"nats-{user}"
        for user in re.findall(
            r"^  nats-(.+): \{file: \./secrets/nats/\1\}$", section, re.MULTILINE
        )
    }
    files |= {
        f"token-{name}"
        for name in re.findall(
            r"^  token-(.+): \{file: \./secrets/tokens/\1\}$", section, re.MULTILINE
        )
    }
    targets = {"event-key.pem", "nats-key.pem", "service.token"}
    mounted = set(re.findall(r"\b([\w-]+\.(?:json|toml|token|pem)|token-\w+)\b", services))
    mounted -= targets

    assert mounted == files
    assert all(f"`{name}`" in README for name in files - EVENT_KEYS - NATS_KEYS - TOKENS)


def test_every_service_signs_with_its_own_key() -> None:
    signed = re.findall(r"source: ([\w-]+\.pem), target: event-key\.pem", COMPOSE)
    mounted = re.findall(r"secretName: oip-event-key-([\w-]+)", KUBERNETES)

    assert set(signed) == EVENT_KEYS
    assert {f"{name}.pem" for name in mounted} == EVENT_KEYS
    assert "OIP_EVENT_KEY_FILE" in README
    assert "OIP_EVENT_TRUST_DIR" in README


def test_every_service_has_a_token_of_its_own() -> None:
    sources = re.findall(r"source: (token-\w+), target: service\.token", COMPOSE)
    mounted = re.findall(r"secretName: oip-(token-[\w-]+)", KUBERNETES)

    assert set(sources) == set(mounted) == TOKENS
    assert "OIP_TOKEN_FILE=/run/secrets/token/service.token" in KUSTOMIZATION
    assert "`services/{service}`" in README


def test_every_user_of_nats_has_its_own_key() -> None:
    sources = re.findall(r"source: ([\w-]+\.pem), target: nats-key\.pem", COMPOSE)
    mounted = re.findall(r"secretName: oip-nats-key-([\w-]+)", KUBERNETES + MIGRATE)

    assert set(sources) == NATS_KEYS
    assert {f"nats-{user}.pem" for user in mounted} == NATS_KEYS
    assert "OIP_NATS_KEY_FILE" in README


def test_the_users_of_nats_are_those_of_the_code() -> None:
    assert (DEPLOY / "nats-users.conf").read_text(encoding="utf-8") == users_file()
    assert 'include "nats-users.conf"' in NATS


def test_the_streams_fit_into_the_store_of_nats() -> None:
    store = re.search(r"max_file_store: (\d+)GB", NATS)
    assert store is not None
    sizes = [stream_config(name, 1).max_bytes or 0 for name in Settings().addresses]

    assert sum(sizes) <= int(store[1]) * 10**9
    assert f"The streams reserve {sum(sizes) >> 30} GiB" in NATS


def test_every_command_of_the_deployment_exists() -> None:
    files = [path for path in DEPLOY.rglob("*") if path.is_file()]
    texts = [path.read_text(encoding="utf-8") for path in [*files, *DOCS.rglob("*.md")]]
    modules = {
        name
        for text in texts
        for name in re.findall(r"(?:-m[\",]*\s*\"?|python -m )(services[\w.]*)", text)
    }

    assert "services.migrate" in modules
    assert {f"services.{name}" for name in Settings().addresses} <= modules
    for name in modules:
        module = importlib.util.find_spec(name)
        assert module is not None, name
        if module.submodule_search_locations:
            assert importlib.util.find_spec(f"{name}.__main__") is not None, name


def test_files_that_settings_name_are_secrets_of_that_service() -> None:
    for name in re.findall(r"OIP_\w+_FILE: /run/secrets/([\w.-]+)", COMPOSE):
        assert f"{name}: {{file:" in COMPOSE or f"target: {name}" in COMPOSE


def test_only_orders_gets_the_key_of_the_logs() -> None:
    services = {
        re.search(r"metadata: \{name: ([\w-]+)\}", document)[1]: document  # type: ignore[index]
        for document in KUBERNETES.split("---\n")
        if "kind: Deployment" in document
    }
    holders = [name for name, text in services.items() if "OIP_ORDER_LOG_KEY_FILE" in text]
    mounted = [name for name, text in services.items() if "secretName: oip-order-log" in text]

    assert len(services) == 11
    assert holders == mounted == ["orders", "orders-intake"]
    folder = re.search(r"name: order-log, mountPath: ([\w/-]+), readOnly: true", KUBERNETES)
    assert folder is not None
    assert f"value: {folder[1]}/order-log.pem" in KUBERNETES
    compose = COMPOSE.split("  orders: &orders\n", 1)[1].split("\n  premiums:")[0]
    assert COMPOSE.count("OIP_ORDER_LOG_KEY_FILE") == compose.count("OIP_ORDER_LOG_KEY_FILE") == 1
    assert "- order-log.pem\n" in compose


def test_probes_ask_for_the_names_that_the_health_service_has() -> None:
    names = dict(re.findall(r"(\w+)Probe: {grpc: {port: \d+, service: (\w+)}", KUBERNETES))

    assert names == {"liveness": LIVENESS, "readiness": READINESS}
    assert KUBERNETES.count("service: readiness}") == KUBERNETES.count("service: liveness}") == 11
    assert not re.search(r"Probe: {grpc: {port: \d+}", KUBERNETES)


def test_probes_ask_a_port_that_is_not_the_service_s() -> None:
    ports = {int(port) for port in re.findall(r"Probe: {grpc: {port: (\d+)", KUBERNETES)}
    addresses = (
        *Settings().addresses.values(),
        Settings().default_gateway_address,
        Settings().default_console_address,
    )
    served = {int(address.rpartition(":")[2]) for address in addresses}

    assert ports == {Settings().health_port_of(port) for port in served}
    assert not re.search(r"port: 22\d+}\]", KUBERNETES), "no service offers the port of probes"


def test_every_service_has_a_login_of_its_own() -> None:
    logins = set(re.findall(r"postgresql://(\w+)_login:", COMPOSE))
    secrets = set(re.findall(r"name: oip-database-(\w+)}", KUBERNETES))

    assert logins == secrets == {*Settings().addresses, "console"}
    script = (DEPLOY / "logins.sh").read_text(encoding="utf-8")
    assert set(re.findall(r"^login (\w+) ", script, re.MULTILINE)) == logins


def test_every_risk_and_limit_is_in_the_page_for_operators() -> None:
    assert all(f"| `{risk.value}` |" in README for risk in Risk)
    accepted = re.search(r"OIP_ACCEPTED_RISKS: (.+)", COMPOSE)
    assert accepted is not None
    Risks(Settings(accepted_risks=accepted[1]))
    for name in Limits.model_fields:
        assert name.upper() in README, name


def test_queries_about_orders_have_more_weight_than_intake() -> None:
    def weight(text: str, pattern: str) -> int:
        match = re.search(pattern, text, re.MULTILINE | re.DOTALL)
        assert match is not None
        return int(match[1])

    names = ("orders", "orders-intake", "claims")
    requests = {name: weight(KUBERNETES, rf"- name: {name}\n.*?cpu: (\d+)m") for name in names}
    shares = {name: weight(COMPOSE, rf"^  {name}:.*?cpu_shares: (\d+)") for name in names[:2]}

    assert shares["orders"] > 1024 > shares["orders-intake"]
    assert requests["orders"] > requests["claims"] > requests["orders-intake"]
    # Services call the deployment for queries.
    assert "OIP_ORDERS_ADDRESS: orders:21002" in COMPOSE


def test_the_gateway_gets_neither_a_database_nor_a_key() -> None:
    compose = COMPOSE.split("\n  gateway:\n", 1)[1].split("\n  console:\n")[0]
    kubernetes = KUBERNETES.split("metadata: {name: gateway}", 1)[1]
    kubernetes = kubernetes.split("metadata: {name: console}")[0]

    assert "secrets" not in compose
    assert re.findall(r"secretName: ([\w-]+)", kubernetes) == ["oip-tls-gateway"]
    assert "secretRef" not in kubernetes
    for text in (compose, kubernetes):
        assert re.search(r"OIP_GATEWAY_INTAKE_ADDRESS\W.*orders-intake:21002", text)


def test_every_setting_of_the_gateway_is_in_the_page_for_operators() -> None:
    missing = [
        name
        for name in GatewaySettings.model_fields
        if f"OIP_GATEWAY_{name.upper()}`" not in README
    ]

    assert missing == []


def test_the_console_gets_its_sessions_and_no_key() -> None:
    compose = COMPOSE.split("\n  console:\n", 1)[1].split("\nsecrets:")[0]
    kubernetes = KUBERNETES.split("metadata: {name: console}", 1)[1]

    assert "secrets" not in compose
    assert re.findall(r"secretName: ([\w-]+)", kubernetes) == ["oip-tls-console"]
    assert re.findall(r"secretRef: \{name: ([\w-]+)", kubernetes) == ["oip-database-console"]


def test_every_setting_of_the_console_is_in_the_page_for_operators() -> None:
    missing = [
        name
        for name in ConsoleSettings.model_fields
        if f"OIP_CONSOLE_{name.upper()}`" not in README
    ]

    assert missing == []


def test_the_name_of_a_service_gives_the_addresses_of_all_its_replicas() -> None:
    documents = [each for each in KUBERNETES.split("---\n") if "kind: Service\n" in each]
    single = [each for each in documents if "clusterIP: None" not in each]

    assert len(documents) == 11
    assert [re.findall(r"metadata: \{name: (\w+)", each) for each in single] == [
        ["gateway"],
        ["console"],
    ]
