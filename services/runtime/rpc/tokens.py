"""Tokens: JWTs verified with the keys of trusted issuers; and an issuer for development.

Each issuer pins its algorithms, so that the header of a token can select neither `none` nor a
shared secret. In production the issuers are those of the province (issuers.py); in development one
creates its own key at the first start.
"""

from __future__ import annotations

import binascii
import json
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import KeySet, OKPKey
from joserfc.util import urlsafe_b64decode

from services.kernel.identifiers import is_credit_code
from services.kernel.phrases import Phrase
from services.runtime.base.secret_files import write_once
from services.runtime.rpc.access import OUTSIDE_REGISTER, Unauthenticated
from services.runtime.rpc.issuers import RereadFile, TrustedIssuer
from services.runtime.rpc.roles import role_label, role_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from services.runtime.base.clock import Clock

AUDIENCE = "oip"
DEVELOPMENT_ISSUER = "oip-development"
ISSUER_ALGORITHM = "Ed25519"
LONGEST_LIFETIME = timedelta(hours=12)
SERVICE_LIFETIME = timedelta(minutes=10)
LEEWAY_SECONDS = 30
VERIFIED_TOKENS_MAX = 10_000
SUBJECT_LENGTH_MAX = 200
_PERSON = re.compile(r"workers/[1-9][0-9]{0,17}")


@dataclass(frozen=True)
class Token:
    """What a verified token says. `certificate` is the SHA-256 to which it is bound (`cnf`)."""

    issuer: str
    subject: str
    roles: frozenset[int]
    platform: str
    person: str
    issue_time: datetime
    id: str = ""
    certificate: bytes = b""


class Verifier:
    """Checks a token's issuer, signature, audience and lifetime, and returns what it says."""

    def __init__(
        self, issuers: Iterable[TrustedIssuer], clock: Clock, revoked: RereadFile | None = None
    ) -> None:
        """Trust these issuers, but no token whose `jti` is in `revoked`; expiry follows `clock`."""
        self._issuers = {issuer.name: issuer for issuer in issuers}
        self.clock = clock
        self._revoked = revoked
        self._verified: dict[str, tuple[int, Token]] = {}
        self._files: list[TrustedIssuer | RereadFile] = [
            *(issuer for issuer in self._issuers.values() if isinstance(issuer.keys, RereadFile)),
            *([revoked] if revoked is not None else []),
        ]

    def verify(self, token: str) -> Token:
        """What a token says; raises Unauthenticated with what is wrong."""
        now = int(self.clock.now().timestamp())
        self._refresh()
        # Verifying a signature costs more than the rest of a small call, so a valid token is cached
        # until it expires. Its `nbf` is not checked again if the clock is set back, which happens
        # in simulated time only.
        expires, verified = self._verified.get(token, (0, None))
        if verified is not None and now < expires:
            return verified
        expires, verified = self._check(token, now)
        if len(self._verified) >= VERIFIED_TOKENS_MAX:
            self._verified.clear()
        self._verified[token] = (expires, verified)
        return verified

    def _refresh(self) -> None:
        if any([file.refresh() for file in self._files]):  # noqa: C419 - each is looked at
            self._verified.clear()

    def _check(self, token: str, now: int) -> tuple[int, Token]:
        issuer = self._issuer_of(token)
        claims_rule = jwt.JWTClaimsRegistry(
            now=now,
            leeway=LEEWAY_SECONDS,
            aud={"essential": True, "value": AUDIENCE},
            iss={"essential": True, "value": issuer.name},
            sub={"essential": True},
            iat={"essential": True},
            exp={"essential": True},
        )
        try:
            claims = jwt.decode(token, issuer.key_set, algorithms=issuer.algorithms).claims
            claims_rule.validate(claims)
        except ExpiredTokenError:
            raise Unauthenticated.of("EXPIRED", "the token has expired", "令牌已过期") from None
        except (JoseError, ValueError, TypeError) as error:
            raise Unauthenticated.of(
                "INVALID",
                "the token is not valid ({error})",
                "令牌无效 ({error})",
                error=type(error).__name__,
            ) from None
        _require_lifetime(claims, now)
        verified = _token_of(claims, issuer)
        if self._revoked is not None and verified.id in self._revoked.content:
            raise Unauthenticated.of("REVOKED", "the token was revoked", "令牌已撤销")
        return int(claims["exp"]), verified

    def _issuer_of(self, token: str) -> TrustedIssuer:
        """The trusted issuer that a token names, with the key that it names, if it has it."""
        try:
            parts = token.encode("ascii").split(b".")
            header, claims = (json.loads(urlsafe_b64decode(part)) for part in parts[:2])
            issuer = self._issuers.get(claims.get("iss"))
            key_id = header.get("kid")
        except (ValueError, TypeError, AttributeError, binascii.Error, RecursionError):
            raise Unauthenticated.of("INVALID", "the token is not valid", "令牌无效") from None
        if issuer is None:
            raise Unauthenticated.of(
                "ISSUER", "the token's issuer is not trusted", "令牌的签发方不受信任"
            )
        if key_id is not None and not issuer.has_key(key_id) and issuer.refresh(rereads=True):
            self._verified.clear()
        return issuer


def _require_lifetime(claims: dict[str, Any], now: int) -> None:
    """Raise Unauthenticated for a token for more than twelve hours, or of the future."""
    issued, expires = claims["iat"], claims["exp"]
    if issued > now + LEEWAY_SECONDS:
        raise Unauthenticated.of("NOT_YET", "the token is not valid yet", "令牌尚未生效")
    if not 0 < expires - issued <= LONGEST_LIFETIME.total_seconds():
        hours = LONGEST_LIFETIME.total_seconds() / 3600
        raise Unauthenticated.of(
            "TOO_LONG",
            "the token is valid for more than {hours} hours",
            "令牌的有效期超过 {hours} 小时",
            hours=f"{hours:g}",
        )


def _token_of(claims: dict[str, Any], issuer: TrustedIssuer) -> Token:
    """What the claims of a verified token say. Raises Unauthenticated for a wrong form."""
    names = issuer.claims
    subject, identity = claims["sub"], claims.get("jti", "")
    roles = _claim(claims, names.roles, [])
    platform, person = _claim(claims, names.platform, ""), _claim(claims, names.person, "")
    if not isinstance(roles, list) or not all(
        isinstance(text, str) for text in (subject, identity, platform, person)
    ):
        raise _wrong_form("subject, roles, platform or person", "账号、角色、平台或人员")
    if not 1 <= len(subject) <= SUBJECT_LENGTH_MAX or not subject.isprintable():
        raise _wrong_form("subject", "账号")
    # A platform sees rows by its code, and no other text may take the code's place.
    if platform and not is_credit_code(platform):
        raise _wrong_form("platform", "平台")
    if person and not _PERSON.fullmatch(person):
        raise _wrong_form("person", "人员")
    try:
        numbers = frozenset(role_of(str(role)) for role in roles)
    except ValueError:
        raise Unauthenticated.of(
            "UNKNOWN_ROLE", "the token names an unknown role", "令牌含有未知角色"
        ) from None
    for role in sorted(numbers & OUTSIDE_REGISTER - issuer.outside_register):
        raise Unauthenticated.of(
            "ISSUER_ROLE",
            "the token's issuer may not grant the role {role}",
            "令牌的签发方不得授予{role}角色",
            role=role_label(role),
        )
    issued = datetime.fromtimestamp(claims["iat"], UTC)
    return Token(
        issuer.name, subject, numbers, platform, person, issued, identity, _certificate_of(claims)
    )


def _wrong_form(part: str, part_zh: str) -> Unauthenticated:
    """The refusal of a token with a part that cannot be read."""
    return Unauthenticated.of(
        "WRONG_FORM",
        "the token's {part} has a wrong form",
        "令牌的{part}格式有误",
        part=Phrase(part, part, part_zh),
    )


def _claim(claims: dict[str, Any], name: str, default: object) -> Any:
    value: Any = claims.get(name)
    if value is None and "." in name:
        value = claims
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
    return default if value is None else value


def _certificate_of(claims: dict[str, Any]) -> bytes:
    try:
        text = claims.get("cnf", {}).get("x5t#S256", "")
        return urlsafe_b64decode(text.encode("ascii"))
    except (AttributeError, ValueError, binascii.Error):
        raise _wrong_form("certificate", "证书") from None


class Issuer:
    """Issues tokens with its own key, stored in the state folder. Development only."""

    def __init__(self, key: OKPKey, clock: Clock) -> None:
        """Sign with this key; `iat` and `exp` follow the clock."""
        self._key = key
        self._clock = clock

    @classmethod
    def at(cls, key_path: Path, jwks_path: Path, clock: Clock) -> Issuer:
        """The issuer whose key is in `key_path`; creates it (mode 0600) at the first start.

        The public key is written to `jwks_path` for servers in other processes.
        """
        if not key_path.exists():
            key = OKPKey.generate_key("Ed25519", {"use": "sig"}, auto_kid=True)
            write_once(key_path, json.dumps(key.as_dict(private=True)).encode())
        issuer = cls(OKPKey.import_key(json.loads(key_path.read_text(encoding="utf-8"))), clock)
        if not jwks_path.exists():
            public = KeySet([issuer.public_key]).as_dict(private=False)
            write_once(jwks_path, json.dumps(public).encode())
        return issuer

    @property
    def public_key(self) -> OKPKey:
        """The key that verifies the tokens."""
        return OKPKey.import_key(self._key.as_dict(private=False))

    def issue(
        self,
        subject: str,
        roles: Iterable[str],
        platform: str = "",
        lifetime: timedelta = timedelta(hours=1),
        *,
        person: str = "",
        certificate: bytes = b"",
    ) -> str:
        """A token for a subject with roles written in lower case; ValueError for an unknown one.

        `person` is the worker for whom a worker agent acts, `certificate` the SHA-256 of the client
        certificate to which the token is bound.
        """
        names = list(roles)
        for role in names:
            role_of(role)
        now = int(self._clock.now().timestamp())
        seconds = int(min(lifetime, LONGEST_LIFETIME).total_seconds())
        claims = {
            "iss": DEVELOPMENT_ISSUER,
            "sub": subject,
            "aud": AUDIENCE,
            "iat": now,
            "nbf": now,
            "exp": now + seconds,
            "jti": secrets.token_hex(8),
            "roles": names,
            **({"platform": platform} if platform else {}),
            **({"person": person} if person else {}),
            **({"cnf": {"x5t#S256": _base64(certificate)}} if certificate else {}),
        }
        header = {"alg": ISSUER_ALGORITHM, "kid": self._key.kid}
        return jwt.encode(header, claims, self._key, algorithms=[ISSUER_ALGORITHM])

    def verifier(self) -> Verifier:
        """A verifier that trusts this issuer alone."""
        trusted = TrustedIssuer(
            DEVELOPMENT_ISSUER, KeySet([self.public_key]), (ISSUER_ALGORITHM,), OUTSIDE_REGISTER
        )
        return Verifier([trusted], self._clock)

    def source(
        self,
        subject: str,
        roles: Iterable[str],
        platform: str = "",
        lifetime: timedelta = SERVICE_LIFETIME,
        *,
        person: str = "",
        certificate: bytes = b"",
    ) -> Callable[[], str]:
        """A callable that returns a valid token, renewed after half of its lifetime."""
        names = tuple(roles)
        current = ""
        renew_at = self._clock.now()

        def token() -> str:
            nonlocal current, renew_at
            now = self._clock.now()
            # A simulated clock may be set back: then the current token is not valid yet.
            if not current or now >= renew_at or now < renew_at - lifetime / 2:
                current = self.issue(
                    subject, names, platform, lifetime, person=person, certificate=certificate
                )
                renew_at = now + lifetime / 2
            return current

        return token


def file_source(path: Path) -> Callable[[], str]:
    """A callable that reads the token from a file that an orchestrator rotates."""

    def token() -> str:
        return path.read_text(encoding="utf-8").strip()

    return token


def _base64(content: bytes) -> str:
    return binascii.b2a_base64(content, newline=False).decode().translate(_URL_SAFE).rstrip("=")


_URL_SAFE = str.maketrans("+/", "-_")
