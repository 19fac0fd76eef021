"""Why a process does not start, as one sentence; what is no known reason keeps its trace."""

from __future__ import annotations

import sys

import nats.errors
from pydantic import ValidationError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError

from services.runtime.base.refusals import StartRefusedError
from services.runtime.base.settings import (
    Settings,
    sentence_of_setting,
    service_names,
)
from services.runtime.storage.sessions import as_psycopg


def settings_or_exit() -> Settings:
    """The settings of the environment; ends the process if one has no possible value."""
    try:
        settings = Settings()
    except ValidationError as error:
        sys.exit(sentence_of_setting(error))
    for name in ("database_url", *(f"{service}_database_url" for service in service_names())):
        url = getattr(settings, name)
        if url and not _is_database(url):
            sys.exit(
                f"OIP_{name.upper()} cannot be used: write it as"
                " postgresql://login:password@host:5432/database"
            )
    return settings


def _is_database(url: str) -> bool:
    try:
        return make_url(url).get_backend_name() == "postgresql"
    except (ArgumentError, ValueError):
        return False


def sentence_of(error: BaseException, settings: Settings, service: str = "") -> str | None:
    """The sentence for a known reason not to start; None for a fault of the program."""
    sentence = _sentence_of(error, settings, service)
    return None if sentence is None else sentence[:1].upper() + sentence[1:]


def _sentence_of(error: BaseException, settings: Settings, service: str) -> str | None:
    if isinstance(error, StartRefusedError):
        return str(error)
    if isinstance(error, OperationalError):
        return _of_database(error, settings, service)
    if isinstance(error, nats.errors.Error):
        return (
            f"NATS at {_without_password(settings.nats_url)} does not answer ({_name(error)}); "
            "check OIP_NATS_URL, and that the server runs"
        )
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} cannot be read ({error.strerror}); put the file there"
    if isinstance(error, OSError):
        return f"a server cannot be reached ({_name(error)}); check OIP_NATS_URL"
    return None


def _of_database(error: OperationalError, settings: Settings, service: str) -> str:
    setting = f"OIP_{service.upper()}_DATABASE_URL" if service else "OIP_DATABASE_URL"
    url = settings.database_of(service)
    place = as_psycopg(url) if url else None
    where = f"PostgreSQL at {place.host}:{place.port or 5432}" if place else "PostgreSQL"
    text = str(error.orig).strip().partition("\n")[0]
    if "FATAL" in text:
        reason = text.partition("FATAL:")[2].strip()
        return f"{where} refuses the login ({reason}); check {setting}"
    return f"{where} does not answer ({text}); check {setting}, and that the server runs"


def _name(error: Exception) -> str:
    return str(error) or type(error).__name__


def _without_password(url: str) -> str:
    start, _, rest = url.partition("://")
    return f"{start}://{rest.rpartition('@')[2]}"
