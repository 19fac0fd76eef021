"""The deployment files bring what the services ask for: every secret named, and to whom."""

from __future__ import annotations

import re
from pathlib import Path

DEPLOY = Path(__file__).parents[3] / "deploy"
COMPOSE = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
KUBERNETES = (DEPLOY / "kubernetes" / "base" / "services.yaml").read_text(encoding="utf-8")
README = (DEPLOY / "README.md").read_text(encoding="utf-8")


def test_every_secret_of_a_service_is_a_file_of_the_deployment() -> None:
    _, _, defined = COMPOSE.partition("\nsecrets:\n")
    files = set(re.findall(r"^  ([\w.-]+): \{file: \./secrets/\1\}$", defined, re.MULTILINE))
    named = {
        one.strip()
        for listed in re.findall(r"secrets: \[([^\]]+)\]", COMPOSE)
        for one in listed.split(",")
    }

    assert named == files
    assert all(f"`{name}`" in README for name in files)


def test_files_that_settings_name_are_secrets_of_that_service() -> None:
    for name in re.findall(r"OIP_\w+_FILE: /run/secrets/([\w.-]+)", COMPOSE):
        assert f"{name}: {{file:" in COMPOSE


def test_only_orders_gets_the_key_of_the_logs() -> None:
    services = {
        re.search(r"metadata: \{name: ([\w-]+)\}", one)[1]: one  # type: ignore[index]
        for one in KUBERNETES.split("---\n")
        if "kind: Deployment" in one
    }
    holders = [name for name, one in services.items() if "OIP_ORDER_LOG_KEY_FILE" in one]
    mounted = [name for name, one in services.items() if "secretName: oip-order-log" in one]

    assert len(services) == 8
    assert holders == mounted == ["orders", "orders-intake"]
    folder = re.search(r"name: order-log, mountPath: ([\w/-]+), readOnly: true", KUBERNETES)
    assert folder is not None
    assert f"value: {folder[1]}/order-log.pem" in KUBERNETES
    compose = COMPOSE.split("  orders: &orders\n", 1)[1].split("\n  premiums:")[0]
    assert COMPOSE.count("OIP_ORDER_LOG_KEY_FILE") == compose.count("OIP_ORDER_LOG_KEY_FILE") == 1
    assert "order-log.pem]" in compose


def test_questions_about_orders_have_more_weight_than_intake() -> None:
    def weight(text: str, pattern: str) -> int:
        found = re.search(pattern, text, re.MULTILINE | re.DOTALL)
        assert found is not None
        return int(found[1])

    names = ("orders", "orders-intake", "claims")
    requests = {name: weight(KUBERNETES, rf"- name: {name}\n.*?cpu: (\d+)m") for name in names}
    shares = {name: weight(COMPOSE, rf"^  {name}:.*?cpu_shares: (\d+)") for name in names[:2]}

    assert shares["orders"] > 1024 > shares["orders-intake"]
    assert requests["orders"] > requests["claims"] > requests["orders-intake"]
    # Services ask the one that answers.
    assert "OIP_ORDERS_ADDRESS: orders:51002" in COMPOSE
