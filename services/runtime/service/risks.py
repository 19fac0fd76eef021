"""What production does not run with, unless the operator accepts the risk by its name.

Each check says what is wrong and what to do. An accepted risk is logged once, as a warning.
"""

from __future__ import annotations

from enum import Enum
from ipaddress import ip_address
from urllib.parse import urlsplit

import psycopg
import sqlalchemy as sa

from services.runtime.base.log import logger
from services.runtime.base.refusals import StartRefusedError
from services.runtime.base.settings import Environment, Settings
from services.runtime.events.jetstream import Bus
from services.runtime.storage.database import Database, driver_of

log = logger("risks")

# Privileges of the login, as whom the session was opened, whatever role it has taken since.
_LOGIN = """
select session_user as name, rolsuper or rolbypassrls as is_unbounded,
    array(select other.rolname::text from pg_roles other where other.rolname like 'oip\\_%'
        and other.rolname <> :role and other.rolname not like :roles
        and pg_has_role(session_user, other.oid, 'member') order by 1) as others
from pg_roles login where login.rolname = session_user
"""


class Risk(Enum):
    """The risks, by their names in OIP_ACCEPTED_RISKS."""

    CLEAR_CALLS = "clear-calls"
    CLEAR_DATABASE = "clear-database"
    CLEAR_NATS = "clear-nats"
    OPEN_NATS = "open-nats"
    SHARED_DATABASE_LOGIN = "shared-database-login"
    DATABASE_SUPERUSER = "database-superuser"


class RiskRefusedError(StartRefusedError):
    """Production does not start with a risk that nobody has accepted."""

    def __init__(self, risk: Risk, sentence: str) -> None:
        super().__init__(
            f"{sentence}; to run without it nevertheless, add {risk.value} to OIP_ACCEPTED_RISKS"
        )
        self.risk = risk


class Risks:
    """The risks that this process takes; development takes all of them in silence."""

    def __init__(self, settings: Settings) -> None:
        """Raises StartRefusedError if an accepted risk is none."""
        self._applies = settings.environment is Environment.PRODUCTION
        self._accepted = _accepted(settings.accepted_risks)
        self._reported: set[Risk] = set()

    def take(self, risk: Risk, sentence: str) -> None:
        """Log the risk if it was accepted, once. Raises RiskRefusedError if it was not."""
        if not self._applies or risk in self._reported:
            return
        if risk not in self._accepted:
            raise RiskRefusedError(risk, sentence)
        self._reported.add(risk)
        log.warning("risk_accepted", risk=risk.value, text=sentence)


def check_calls(risks: Risks, settings: Settings, host: str) -> None:
    """Calls must be encrypted where others can reach them."""
    if settings.tls_certificate_file is None and not _is_this_machine(host):
        risks.take(
            Risk.CLEAR_CALLS,
            f"calls to {host} would travel in the clear; set OIP_TLS_CERTIFICATE_FILE and "
            "OIP_TLS_KEY_FILE",
        )


async def check_database(risks: Risks, database: Database) -> None:
    """The link must be encrypted, and the login be bounded and of this service alone."""
    service = database.service
    async with database.begin() as tx:
        place = (await driver_of(tx)).pgconn
        parameters = {"role": f"oip_{service}", "roles": f"oip\\_{service}\\_%"}
        login = (await tx.execute(sa.text(_LOGIN), parameters)).one()
    setting = f"OIP_{service.upper()}_DATABASE_URL"
    if not place.ssl_in_use and not _is_local(place):
        risks.take(
            Risk.CLEAR_DATABASE,
            f"the link to PostgreSQL of {service} is not encrypted; add sslmode=verify-full to "
            f"{setting}",
        )
    if login.is_unbounded:
        risks.take(
            Risk.DATABASE_SUPERUSER,
            f"{service} logs in to PostgreSQL as {login.name}, whom no privilege bounds; set "
            f"{setting} to a login with the role oip_{service} alone",
        )
    elif login.others:
        risks.take(
            Risk.SHARED_DATABASE_LOGIN,
            f"{service} logs in to PostgreSQL as {login.name}, who is also "
            f"{', '.join(login.others)}; set {setting} to a login with the role oip_{service} "
            "alone",
        )


def check_nats(risks: Risks, settings: Settings, bus: Bus) -> None:
    """The link must be encrypted, and the server must know who connects."""
    urls = settings.nats_url.split(",")
    if any(urlsplit(url).scheme != "tls" and not _is_this_machine(_host(url)) for url in urls):
        risks.take(
            Risk.CLEAR_NATS,
            "the link to NATS is not encrypted; write OIP_NATS_URL with tls://, and set "
            "OIP_NATS_AUTHORITY_FILE to the authority of the servers",
        )
    if not bus.knows_its_users:
        risks.take(
            Risk.OPEN_NATS,
            "the NATS server lets anybody connect; give it the users of deploy/nats-users.conf",
        )


def _accepted(text: str) -> frozenset[Risk]:
    names = frozenset(filter(None, (name.strip() for name in text.split(","))))
    known = {risk.value: risk for risk in Risk}
    if strange := sorted(names - set(known)):
        raise StartRefusedError(
            f"OIP_ACCEPTED_RISKS names {', '.join(strange)}; the risks are {', '.join(known)}"
        )
    return frozenset(known[name] for name in names)


def _host(url: str) -> str:
    return urlsplit(url if "//" in url else f"//{url}").hostname or ""


def _is_local(place: psycopg.pq.abc.PGconn) -> bool:
    """Whether the server is reached by a socket file or on this machine."""
    host = place.host.decode()
    return host.startswith("/") or _is_this_machine(host)


def _is_this_machine(host: str) -> bool:
    host = host.strip("[]")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
