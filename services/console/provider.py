"""The identity provider of production: OpenID Connect, code flow with PKCE (Authlib)."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from services.console.sessions import Session, Tokens
from services.console.settings import ConsoleSettings
from services.runtime.base.clock import Clock
from services.runtime.base.log import logger

log = logger("console")

SECONDS = 10.0
# Tokens are renewed so long before they end.
RENEW_SECONDS = 30
LEEWAY_SECONDS = 30
_SIGNATURES = ["Ed25519", "EdDSA", "ES256", "PS256", "RS256"]
CALLBACK = "/sign-in/callback"


class SignInRefusedError(Exception):
    """The provider did not sign the person in, or answered something else than was asked."""


class Provider:
    """The provider of the settings; what it describes of itself is read once."""

    def __init__(self, settings: ConsoleSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        secret = settings.oidc_client_secret_file
        self._secret = secret.read_text(encoding="ascii").strip() if secret else None
        self._described: dict[str, Any] = {}
        self._keys: KeySet | None = None

    @property
    def origin(self) -> str:
        """The origin to which the sign-in page leads."""
        parts = urlsplit(self._settings.oidc_issuer)
        return f"{parts.scheme}://{parts.netloc}"

    async def begin(self, url: str) -> tuple[str, dict[str, str]]:
        """Where to send the browser, and what the session keeps until it comes back."""
        described = await self._description()
        kept = {"nonce": secrets.token_urlsafe(32), "verifier": secrets.token_urlsafe(48)}
        async with self._client(url) as client:
            address, state = client.create_authorization_url(
                described["authorization_endpoint"],
                nonce=kept["nonce"],
                code_challenge=create_s256_code_challenge(kept["verifier"]),
                code_challenge_method="S256",
            )
        return address, kept | {"state": state}

    async def finish(self, url: str, kept: dict[str, str], query: dict[str, str]) -> Tokens:
        """The tokens of a person who came back. Raises SignInRefusedError."""
        if not kept or not secrets.compare_digest(query.get("state", ""), kept["state"]):
            raise SignInRefusedError("the answer belongs to no sign-in of this browser")
        if "code" not in query:
            raise SignInRefusedError(query.get("error", "no code")[:100])
        described = await self._description()
        try:
            async with self._client(url) as client:
                token = await client.fetch_token(
                    described["token_endpoint"],
                    code=query["code"],
                    code_verifier=kept["verifier"],
                    grant_type="authorization_code",
                )
            await self._check(token["id_token"], kept["nonce"])
        except (httpx2.HTTPError, AuthlibBaseError, JoseError, KeyError, ValueError) as error:
            raise SignInRefusedError(type(error).__name__) from error
        return self._tokens(token)

    async def current(self, session: Session) -> Session | None:
        """The session with valid tokens; None if they ran out and cannot be renewed."""
        tokens = session.tokens
        if tokens is None:
            return None
        if self._seconds() < tokens.expires - RENEW_SECONDS:
            return session
        if not tokens.refresh:
            return session if self._seconds() < tokens.expires else None
        try:
            described = await self._description()
            async with self._client("") as client:
                token = await client.refresh_token(
                    described["token_endpoint"], refresh_token=tokens.refresh
                )
        except (httpx2.HTTPError, AuthlibBaseError, SignInRefusedError) as error:
            log.info("token_not_renewed", error=type(error).__name__)
            return None
        renewed = self._tokens(token)
        return replace(session, tokens=replace(renewed, refresh=renewed.refresh or tokens.refresh))

    @staticmethod
    def token_of(session: Session) -> str:
        """The provider's access token, which goes along to the services as it came."""
        return session.tokens.access if session.tokens else ""

    def _client(self, url: str) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            self._settings.oidc_client_id,
            self._secret,
            scope=self._settings.oidc_scope,
            redirect_uri=f"{url}{CALLBACK}" if url else None,
            token_endpoint_auth_method="client_secret_basic" if self._secret else "none",
            timeout=SECONDS,
        )

    async def _description(self) -> dict[str, Any]:
        """What the provider says of itself. Raises SignInRefusedError."""
        if not self._described:
            issuer = self._settings.oidc_issuer.rstrip("/")
            described = await self._read(f"{issuer}/.well-known/openid-configuration")
            if str(described.get("issuer", "")).rstrip("/") != issuer:
                raise SignInRefusedError("the provider has another name")
            self._described = described
        return self._described

    async def _check(self, id_token: str, nonce: str) -> None:
        """Raise JoseError or ValueError unless the token is of this sign-in."""
        if self._keys is None:
            described = await self._description()
            self._keys = KeySet.import_key_set(await self._read(described["jwks_uri"]))
        claims = jwt.decode(id_token, self._keys, algorithms=_SIGNATURES).claims
        jwt.JWTClaimsRegistry(
            now=self._seconds(),
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": self._described["issuer"]},
            aud={"essential": True, "value": self._settings.oidc_client_id},
            exp={"essential": True},
            nonce={"essential": True, "value": nonce},
        ).validate(claims)

    async def _read(self, address: str) -> Any:
        try:
            async with httpx2.AsyncClient(timeout=SECONDS) as client:
                answer = await client.get(address)
                answer.raise_for_status()
                return answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise SignInRefusedError("the provider does not answer") from error

    def _tokens(self, token: dict[str, Any]) -> Tokens:
        expires = self._seconds() + int(token.get("expires_in") or 300)
        return Tokens(str(token["access_token"]), str(token.get("refresh_token") or ""), expires)

    def _seconds(self) -> int:
        return int(self._clock.now().timestamp())
