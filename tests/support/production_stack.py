"""A stack that runs as production does, within a test: keys, issuers and tokens from files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from services.runtime.base.clock import Clock
from services.runtime.base.settings import Environment, Settings
from services.runtime.events.event_keys import load_or_make_signer
from services.runtime.rpc.tokens import Issuer
from services.runtime.service.risks import Risk
from services.runtime.storage.key_file import load_or_make_keys
from tests.support.issuers import issuers_file

# Tests migrate as the owner of the database, and their nats-server is on this machine.
RISKS = (Risk.DATABASE_SUPERUSER, Risk.SHARED_DATABASE_LOGIN, Risk.OPEN_NATS)


def in_production(
    settings: Settings, folder: Path, services: Iterable[str], clock: Clock
) -> Settings:
    """The settings for production, with the files that it does not make for itself in a folder."""
    changed = settings.model_copy(
        update={
            "environment": Environment.PRODUCTION,
            "state_dir": folder,
            "token_file": folder / "token",
            "accepted_risks": ",".join(risk.value for risk in RISKS),
        }
    )
    load_or_make_keys(changed.keys_path)
    names = list(services)
    for name in names:
        load_or_make_signer(changed.event_key_path(name), name, changed.event_trust_path)
    issuer = Issuer.at(changed.signing_key_path, changed.jwks_path, clock)
    issuers = issuers_file(changed.jwks_path)
    (folder / "token").write_text(issuer.issue(f"services/{names[0]}", ["service"]))
    return changed.model_copy(update={"issuers_file": issuers})
