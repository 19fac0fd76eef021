"""Who may issue tokens: names, algorithms, public keys, and the claims that they use.

In production the file `OIP_ISSUERS_FILE` lists them; see deploy/README.md. Files of keys and of
revoked tokens are read again while the process runs, so that a rotation needs no restart.
"""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from services.runtime.base.refusals import StartRefusedError
from services.runtime.rpc.access import OUTSIDE_REGISTER
from services.runtime.rpc.roles import role_of

# An issuer pins those that its tokens use, so that no header can choose another.
ALGORITHMS = ("Ed25519", "ES256", "PS256", "RS256")
REREAD_SECONDS = 10.0

log = structlog.get_logger(part="tokens")


class IssuersFileError(StartRefusedError):
    """The file of issuers cannot be used."""


class RereadFile:
    """The content of a file that others replace; looked at again after ten seconds at most.

    What cannot be read later, for example half of a file, leaves the content that was read before.
    """

    def __init__(
        self,
        path: Path,
        parse: Callable[[str], Any],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._parse = parse
        self._seconds = seconds
        # When it was last looked at, and last read though it looked the same.
        self._looked = {False: seconds(), True: seconds()}
        self._stamp = _stamp(path)
        self.content = parse(path.read_text(encoding="utf-8"))

    def refresh(self, *, rereads: bool = False) -> bool:
        """Read the file if it was replaced, or in any case; whether it was read."""
        now = self._seconds()
        if now - self._looked[rereads] < REREAD_SECONDS:
            return False
        self._looked[rereads] = now
        try:
            stamp = _stamp(self._path)
            if stamp == self._stamp and not rereads:
                return False
            content = self._parse(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError, KeyError, JoseError) as error:
            log.warning("file_not_read", path=str(self._path), error=type(error).__name__)
            return False
        self._stamp, self.content = stamp, content
        return True


@dataclass(frozen=True)
class ClaimNames:
    """Where an issuer's tokens carry roles, platform and person; a dot leads into an object."""

    roles: str = "roles"
    platform: str = "platform"
    person: str = "person"


@dataclass(frozen=True)
class TrustedIssuer:
    """An issuer of tokens: `iss`, its keys, the algorithms that its tokens may use.

    `outside_register` are the roles without an entry in the staff register that its tokens may
    carry: `service`, `worker_agent`.
    """

    name: str
    keys: KeySet | RereadFile
    algorithms: tuple[str, ...]
    outside_register: frozenset[int] = frozenset()
    claims: ClaimNames = ClaimNames()

    @property
    def key_set(self) -> KeySet:
        """The keys as read last."""
        return self.keys.content if isinstance(self.keys, RereadFile) else self.keys

    def refresh(self, *, rereads: bool = False) -> bool:
        """Read the keys again if their file was replaced; whether they are others."""
        return isinstance(self.keys, RereadFile) and self.keys.refresh(rereads=rereads)

    def has_key(self, key_id: object) -> bool:
        """Whether the id in the header of a token names a known key."""
        return any(key.kid == key_id for key in self.key_set.keys)


def load_issuers(path: Path) -> tuple[TrustedIssuer, ...]:
    """The issuers in a TOML file. Raises IssuersFileError with what to correct."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))["issuer"]
        issuers = tuple(_issuer_of(table, path.parent) for table in tables)
    except OSError as error:
        raise IssuersFileError(f"{error}; set OIP_ISSUERS_FILE to the file of issuers") from error
    except (KeyError, TypeError, ValueError, JoseError) as error:
        raise IssuersFileError(f"{path} is no file of issuers: {error}") from error
    if not issuers or len({issuer.name for issuer in issuers}) < len(issuers):
        raise IssuersFileError(f"{path} must name at least one issuer, and each once")
    return issuers


def parse_keys(text: str) -> KeySet:
    """The keys of a JWKS document; raises ValueError or JoseError."""
    keys = KeySet.import_key_set(json.loads(text))
    if not keys.keys:
        raise ValueError("a set of keys without a key")
    return keys


def parse_revoked(text: str) -> frozenset[str]:
    """The `jti` of revoked tokens, one a line."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return frozenset(filter(None, lines))


def _issuer_of(table: Mapping[str, Any], folder: Path) -> TrustedIssuer:
    known = {"name", "jwks_file", "algorithms", "outside_register", "claims"}
    if strange := set(table) - known:
        raise ValueError(f"{', '.join(sorted(strange))} is no setting of an issuer")
    algorithms = tuple(table["algorithms"])
    if not algorithms or not set(algorithms) <= set(ALGORITHMS):
        raise ValueError(f"algorithms must be some of {', '.join(ALGORITHMS)}")
    outside = frozenset(role_of(role) for role in table.get("outside_register", ()))
    if not outside <= OUTSIDE_REGISTER:
        raise ValueError("outside_register must be some of service, worker_agent")
    if not isinstance(table["name"], str) or not table["name"]:
        raise ValueError("name must be the `iss` of the tokens")
    return TrustedIssuer(
        table["name"],
        RereadFile(folder / table["jwks_file"], parse_keys),
        algorithms,
        outside,
        ClaimNames(**table.get("claims", {})),
    )


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino
