"""Sessions: on the server, found by the hash of the cookie's secret, and encrypted by the secret.

A copy of the database holds neither the secrets nor anything that they encrypt: tokens, and entries
of forms that wait for a sign-in.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.runtime.base.clock import Clock
from services.runtime.storage.database import Database
from services.runtime.storage.suites import newest_suite

SECRET_BYTES = 32
NONCE_BYTES = 12
# A sign-in that was begun, and the entries that wait for it.
SIGN_IN_TIME = timedelta(hours=1)
# `use_time` is written at most this often.
USE_STEP = timedelta(minutes=1)

_INSERT = sa.text(
    "insert into session (secret_hash, content, create_time, use_time, expire_time)"
    " values (:secret_hash, :content, :now, :now, :expire_time)"
)
_FIND = sa.text(
    "select content, use_time, expire_time from session where secret_hash = :secret_hash"
)
_USE = sa.text("update session set use_time = :now where secret_hash = :secret_hash")
_UPDATE = sa.text("update session set content = :content where secret_hash = :secret_hash")
_END = sa.text("delete from session where secret_hash = :secret_hash")
_END_EXPIRED = sa.text(
    "delete from session where secret_hash in"
    " (select secret_hash from session where expire_time < :now limit 100)"
)


@dataclass(frozen=True)
class Person:
    """Who is signed in. Roles and platform choose what the pages offer; services decide."""

    subject: str
    display_name: str
    roles: tuple[str, ...]
    # The credit code of the company; empty for the office.
    platform: str = ""
    member: str = ""

    @property
    def role_set(self) -> frozenset[str]:
        """The roles."""
        return frozenset(self.roles)


@dataclass(frozen=True)
class Tokens:
    """Tokens of the identity provider; `expires` in seconds since 1970."""

    access: str
    refresh: str = ""
    expires: int = 0


@dataclass(frozen=True)
class Entries:
    """A form that could not be sent: where it goes, and what was entered."""

    path: str
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Session:
    """A session of a browser. Without a person it is a sign-in that was begun."""

    secret: str
    csrf: str
    person: Person | None = None
    tokens: Tokens | None = None
    # Where to go after the sign-in, what waits for it, and what the provider has to return.
    after: str = "/"
    entries: Entries | None = None
    provider: dict[str, str] = field(default_factory=dict)


class SessionStore:
    """The sessions of all browsers."""

    def __init__(
        self, database: Database, clock: Clock, idle: timedelta, longest: timedelta
    ) -> None:
        self._database = database
        self._clock = clock
        self._idle = idle
        self._longest = longest

    async def begin(self, person: Person | None = None, **content: Any) -> Session:
        """A new session, with a new secret and a new CSRF token."""
        session = Session(_secret(), _secret(), person, **content)
        now = self._clock.now()
        expires = now + (self._longest if person is not None else SIGN_IN_TIME)
        async with self._database.begin() as tx:
            await tx.execute(_END_EXPIRED, {"now": now})
            await tx.execute(_INSERT, _row(session) | {"now": now, "expire_time": expires})
        return session

    async def find(self, secret: str) -> Session | None:
        """The session of a cookie; None if there is none, or none any more."""
        now = self._clock.now()
        key = {"secret_hash": _hash(secret)}
        async with self._database.read() as tx:
            row = (await tx.execute(_FIND, key)).one_or_none()
        if row is None or now >= row.expire_time or self._is_idle(row.use_time, now):
            return None
        if not row.use_time <= now < row.use_time + USE_STEP:
            async with self._database.begin() as tx:
                await tx.execute(_USE, key | {"now": now})
        return _opened(secret, row.content)

    async def change(self, session: Session, **content: Any) -> Session:
        """The session with other content."""
        changed = replace(session, **content)
        async with self._database.begin() as tx:
            await tx.execute(_UPDATE, _row(changed))
        return changed

    async def end(self, session: Session) -> None:
        """End a session; its secret opens nothing any more."""
        async with self._database.begin() as tx:
            await tx.execute(_END, {"secret_hash": _hash(session.secret)})

    def _is_idle(self, used: datetime, now: datetime) -> bool:
        return now >= used + self._idle


def _secret() -> str:
    return secrets.token_urlsafe(SECRET_BYTES)


def _hash(secret: str) -> bytes:
    return sha256(secret.encode()).digest()


def _key(secret: str) -> bytes:
    suite = newest_suite()
    derived = HKDF(hashes.SHA256(), suite.key_bytes, None, b"oip console session")
    return derived.derive(secret.encode())


def _row(session: Session) -> dict[str, Any]:
    """The columns of a session: nothing in them can be read without its secret."""
    content = asdict(session)
    content.pop("secret")
    nonce = secrets.token_bytes(NONCE_BYTES)
    text = json.dumps(content, ensure_ascii=False).encode()
    sealed = newest_suite().aead(_key(session.secret)).encrypt(nonce, text, None)
    return {"secret_hash": _hash(session.secret), "content": nonce + sealed}


def _opened(secret: str, content: bytes) -> Session | None:
    nonce, sealed = content[:NONCE_BYTES], content[NONCE_BYTES:]
    try:
        text = newest_suite().aead(_key(secret)).decrypt(nonce, sealed, None)
    except InvalidTag:
        return None
    read = json.loads(text)
    person, tokens, entries = read["person"], read["tokens"], read["entries"]
    return Session(
        secret,
        read["csrf"],
        Person(**person | {"roles": tuple(person["roles"])}) if person else None,
        Tokens(**tokens) if tokens else None,
        read["after"],
        Entries(entries["path"], tuple((a, b) for a, b in entries["fields"])) if entries else None,
        read["provider"],
    )
