"""The key of the logs: one for all replicas, supplied in production, made only in development."""

from __future__ import annotations

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from services.orderlog.signer import (
    KEY_FILE,
    VERIFIER_FILE,
    LogKeyError,
    Signer,
    new_key,
    parse_signer,
)
from services.runtime.base.refusals import StartRefusedError
from services.runtime.base.secret_files import write_once
from services.runtime.service.context import ServiceContext


class LogKeyRefusedError(StartRefusedError, LogKeyError):
    """The key of the logs is missing or unusable, so the service does not start."""


class OrderLogSettings(BaseSettings):
    """The settings of the order logs, from the environment."""

    model_config = SettingsConfigDict(
        env_prefix="OIP_ORDER_LOG_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    # The private key (PEM) that signs the heads of the logs; the same for all replicas. Required in
    # production, made below the state folder in development.
    key_file: Path | None = None


def signer_of(context: ServiceContext) -> Signer:
    """The signer of this deployment; development makes a key (mode 0600) if there is none.

    Raises LogKeyRefusedError if the key is missing or unusable.
    """
    try:
        return _find_signer(context)
    except LogKeyError as error:
        raise LogKeyRefusedError(str(error)) from error


def _find_signer(context: ServiceContext) -> Signer:
    path = OrderLogSettings().key_file
    if path is None:
        if not context.makes_keys:
            raise LogKeyError(
                "there is no key to sign order logs with; set OIP_ORDER_LOG_KEY_FILE to its file, "
                "the same for every replica (deploy/README.md describes how to make it)"
            )
        path = context.state_dir / KEY_FILE
        if not path.exists():
            write_once(path, new_key())
    signer = read_signer(path, context.province)
    if context.makes_keys:
        _write_verifier(context.state_dir / VERIFIER_FILE, signer)
    return signer


def read_signer(path: Path, province: str) -> Signer:
    """The signer whose key is in a file. Raises LogKeyError with what to do."""
    try:
        return parse_signer(path.read_bytes(), province)
    except OSError as error:
        raise LogKeyError(
            f"the key of order logs cannot be read at {path} ({error.strerror}); put it there, "
            "or set OIP_ORDER_LOG_KEY_FILE"
        ) from error
    except LogKeyError as error:
        raise LogKeyError(
            f"{path} {error}; set OIP_ORDER_LOG_KEY_FILE to one made as deploy/README.md describes"
        ) from error


def _write_verifier(path: Path, signer: Signer) -> None:
    """Write the verifier key for `oip`. Raises LogKeyError if the file has an unrelated key."""
    if not path.exists():
        write_once(path, f"{signer.verifier_key}\n".encode("ascii"))
    known = path.read_text(encoding="ascii").strip()
    if known not in signer.verifier_keys:
        raise LogKeyError(
            f"the key of order logs is not the one of {path}; restore that key, or remove the file "
            "if the logs it signed no longer exist"
        )
    if known != signer.verifier_key:
        path.write_text(signer.verifier_key + "\n", encoding="ascii")
