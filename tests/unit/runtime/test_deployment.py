"""The deployment files match the services: secrets by service, and commands that exist."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from services.runtime.base.settings import Settings

DEPLOY = Path(__file__).parents[3] / "deploy"
DOCS = DEPLOY.parent / "docs"
COMPOSE = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
KUBERNETES = (DEPLOY / "kubernetes" / "base" / "services.yaml").read_text(encoding="utf-8")
README = (DEPLOY / "README.md").read_text(encoding="utf-8")
EVENT_KEYS = {f"{name}.pem" for name in Settings().addresses}


def test_every_secret_of_a_service_is_a_file_of_the_deployment() -> None:
    _, _, section = COMPOSE.partition("\nsecrets:\n")
    files = set(
        re.findall(r"^  ([\w.-]+): \{file: \./secrets/(?:events/)?\1\}$", section, re.MULTILINE)
    )
    services = COMPOSE.removesuffix(section)
    mounted = set(re.findall(r"\b([\w-]+\.(?:json|token|pem))\b", services)) - {"event-key.pem"}

    assert mounted == files
    assert all(f"`{name}`" in README for name in files if name not in EVENT_KEYS)


def test_every_service_signs_with_its_own_key() -> None:
    signed = re.findall(r"source: ([\w-]+\.pem), target: event-key\.pem", COMPOSE)
    mounted = re.findall(r"secretName: oip-event-key-([\w-]+)", KUBERNETES)

    assert set(signed) == EVENT_KEYS
    assert {f"{name}.pem" for name in mounted} == EVENT_KEYS
    assert "OIP_EVENT_KEY_FILE" in README
    assert "OIP_EVENT_TRUST_DIR" in README


def test_every_command_of_the_deployment_exists() -> None:
    files = [path for path in DEPLOY.rglob("*") if path.is_file()]
    texts = [path.read_text(encoding="utf-8") for path in [*files, *DOCS.rglob("*.md")]]
    modules = {
        name
        for text in texts
        for name in re.findall(r"(?:-m[\",]*\s*\"?|python -m )(services[\w.]*)", text)
    }

    assert "services.runtime.storage.migrate" in modules
    assert "services.runtime.events.begin_epoch" in modules
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

    assert len(services) == 8
    assert holders == mounted == ["orders", "orders-intake"]
    folder = re.search(r"name: order-log, mountPath: ([\w/-]+), readOnly: true", KUBERNETES)
    assert folder is not None
    assert f"value: {folder[1]}/order-log.pem" in KUBERNETES
    compose = COMPOSE.split("  orders: &orders\n", 1)[1].split("\n  premiums:")[0]
    assert COMPOSE.count("OIP_ORDER_LOG_KEY_FILE") == compose.count("OIP_ORDER_LOG_KEY_FILE") == 1
    assert "- order-log.pem\n" in compose


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
    assert "OIP_ORDERS_ADDRESS: orders:51002" in COMPOSE
