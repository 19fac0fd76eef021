"""The file of issuers of a production in tests: it trusts the development issuer."""

from __future__ import annotations

from pathlib import Path

from services.runtime.rpc.tokens import DEVELOPMENT_ISSUER, ISSUER_ALGORITHM


def issuers_file(jwks: Path) -> Path:
    """A file of issuers next to the public key of the development issuer."""
    path = jwks.with_name("issuers.toml")
    path.write_text(
        f'[[issuer]]\nname = "{DEVELOPMENT_ISSUER}"\njwks_file = "{jwks.name}"\n'
        f'algorithms = ["{ISSUER_ALGORITHM}"]\noutside_register = ["service", "worker_agent"]\n',
        encoding="utf-8",
    )
    return path
