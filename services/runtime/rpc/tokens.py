"""Tokens: JWTs verified with a set of public keys; and an issuer for development.

The algorithms are pinned to Ed25519 and ES256, so that the header of a token can select neither
`none` nor a shared secret. In production the keys are those of the province's identity provider,
read from a JWKS file; in development an issuer creates its own key at the first start.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import KeySet, OKPKey

from services.runtime.base.secret_files import write_once
from services.runtime.rpc.access import Caller, Unauthenticated, role_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from services.runtime.base.clock import Clock

AUDIENCE = "oip"
ALGORITHMS = ("Ed25519", "ES256")
ISSUER_ALGORITHM = "Ed25519"
LONGEST_LIFETIME = timedelta(hours=12)
SERVICE_LIFETIME = timedelta(minutes=10)
LEEWAY_SECONDS = 30
VERIFIED_TOKENS_MAX = 1024


class Verifier:
    """Checks a token's signature, audience and lifetime, and returns its caller."""

    def __init__(self, keys: KeySet, clock: Clock) -> None:
        """Trust these public keys; expiry follows the clock."""
        self._keys = keys
        self._clock = clock
        self._verified: dict[str, tuple[int, Caller]] = {}

    @classmethod
    def from_file(cls, path: Path, clock: Clock) -> Verifier:
        """Trust the keys of a JWKS file."""
        return cls(KeySet.import_key_set(json.loads(path.read_text(encoding="utf-8"))), clock)

    def verify(self, token: str) -> Caller:
        """The caller named by a token; raises Unauthenticated with what is wrong."""
        now = int(self._clock.now().timestamp())
        # Verifying a signature costs more than the rest of a small call, so a valid token is cached
        # until it expires. Its `nbf` is not checked again if the clock is set back, which happens
        # in simulated time only.
        expires, known = self._verified.get(token, (0, None))
        if known is not None and now < expires:
            return known
        expires, who = self._check(token, now)
        if len(self._verified) >= VERIFIED_TOKENS_MAX:
            self._verified.clear()
        self._verified[token] = (expires, who)
        return who

    def _check(self, token: str, now: int) -> tuple[int, Caller]:
        claims_rule = jwt.JWTClaimsRegistry(
            now=now,
            leeway=LEEWAY_SECONDS,
            aud={"essential": True, "value": AUDIENCE},
            sub={"essential": True},
            exp={"essential": True},
        )
        try:
            claims = jwt.decode(token, self._keys, algorithms=ALGORITHMS).claims
            claims_rule.validate(claims)
        except ExpiredTokenError:
            raise Unauthenticated(what="the token has expired") from None
        except (JoseError, ValueError, TypeError) as error:
            what = f"the token is not valid ({type(error).__name__})"
            raise Unauthenticated(what=what) from None
        return int(claims["exp"]), _caller_of(claims)


def _caller_of(claims: dict[str, Any]) -> Caller:
    roles, platform = claims.get("roles", []), claims.get("platform", "")
    if not isinstance(roles, list) or not isinstance(platform, str):
        raise Unauthenticated(what="the token's roles or platform have a wrong form")
    try:
        return Caller(claims["sub"], frozenset(role_of(str(role)) for role in roles), platform)
    except ValueError:
        raise Unauthenticated(what="the token names an unknown role") from None


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
    ) -> str:
        """A token for a subject with roles written in lower case; ValueError for an unknown one."""
        names = list(roles)
        for role in names:
            role_of(role)
        now = int(self._clock.now().timestamp())
        seconds = int(min(lifetime, LONGEST_LIFETIME).total_seconds())
        claims = {
            "sub": subject,
            "aud": AUDIENCE,
            "iat": now,
            "nbf": now,
            "exp": now + seconds,
            "roles": names,
            **({"platform": platform} if platform else {}),
        }
        header = {"alg": ISSUER_ALGORITHM, "kid": self._key.kid}
        return jwt.encode(header, claims, self._key, algorithms=[ISSUER_ALGORITHM])

    def verifier(self) -> Verifier:
        """A verifier that trusts this issuer alone."""
        return Verifier(KeySet([self.public_key]), self._clock)

    def source(
        self,
        subject: str,
        roles: Iterable[str],
        platform: str = "",
        lifetime: timedelta = SERVICE_LIFETIME,
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
                current = self.issue(subject, names, platform, lifetime)
                renew_at = now + lifetime / 2
            return current

        return token


def file_source(path: Path) -> Callable[[], str]:
    """A callable that reads the token from a file that an orchestrator rotates."""

    def token() -> str:
        return path.read_text(encoding="utf-8").strip()

    return token
