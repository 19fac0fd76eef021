"""Signing in and out: with the identity provider, or as a person of a development stack."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

import grpc
from starlette.responses import HTMLResponse, RedirectResponse, Response

from services.console import failures
from services.console.backend import Backend, refusal_of
from services.console.credentials import Credentials, DevelopmentCredentials, person_of
from services.console.provider import Provider, SignInRefusedError
from services.console.security import has_token
from services.console.sessions import Entries, Person, Session, SessionStore
from services.console.visit import CSRF, Visit
from services.runtime.base.log import logger

log = logger("console")

ENTRIES_PATH = "/entries"


@dataclass(frozen=True)
class Door:
    """How people come in: through the provider, or in development by choosing a person."""

    backend: Backend
    development: DevelopmentCredentials | None = None
    provider: Provider | None = None

    @property
    def credentials(self) -> Credentials:
        """What gives the tokens of a session's calls."""
        if self.development is not None:
            return self.development
        if self.provider is None:
            raise RuntimeError("a door without credentials")
        return self.provider

    @property
    def provider_origin(self) -> str:
        """Where the sign-in leads; empty in development."""
        return self.provider.origin if self.provider is not None else ""


def session_cookie(*, secure: bool) -> str:
    """The name of the cookie; `__Host-` binds it to this host and to TLS."""
    return "__Host-oip-session" if secure else "oip-session"


def sign_in_cookie(*, secure: bool) -> str:
    """The cookie of a sign-in that was begun; the provider's redirect has to bring it along."""
    return "__Host-oip-sign-in" if secure else "oip-sign-in"


def local_path(text: str) -> str:
    """The text if it is a path of this console, else the home page."""
    is_local = text.startswith("/") and not text.startswith(("//", "/\\"))
    return text if is_local and text.isprintable() else "/"


async def needed(visit: Visit, door: Door, sessions: SessionStore, secure: bool) -> Response:  # noqa: FBT001
    """Ask for a sign-in; entries of a form are kept until it is done."""
    if not visit.is_post:
        after = visit.address()
        if visit.session is None:
            return RedirectResponse(f"/sign-in?{urlencode({'after': after})}", 303)
        begun = await sessions.begin(after=after)
    else:
        entries = Entries(visit.request.url.path, failures.entries_of(visit))
        begun = await sessions.begin(after=ENTRIES_PATH, entries=entries)
    return _begun(await _choose(visit, door, begun, status=401), begun, secure=secure)


async def page(visit: Visit, door: Door, sessions: SessionStore, url: str) -> Response:
    """The page that asks who it is, and its answer."""
    secure = url.startswith("https://")
    begun = visit.session
    if not visit.is_post:
        begun = await sessions.begin(after=local_path(visit.query("after", "/")))
        return _begun(await _choose(visit, door, begun), begun, secure=secure)
    if begun is None or begun.person or not has_token(visit.entry(CSRF), begun.csrf):
        begun = await sessions.begin(after="/")
        return _begun(await _choose(visit, door, begun, status=403), begun, secure=secure)
    if door.provider is not None:
        try:
            address, kept = await door.provider.begin(url)
        except SignInRefusedError as error:
            return _refused(visit, error)
        await sessions.change(begun, provider=kept)
        return RedirectResponse(address, 303)
    choices = await door.development.choices() if door.development else []
    chosen = next((each for each in choices if each.key == visit.entry("person")), None)
    if chosen is None:
        return await _choose(visit, door, begun, status=400)
    response = visit.see(local_path(begun.after))
    return await _signed_in(response, chosen.person, begun, sessions, secure=secure)


async def callback(visit: Visit, door: Door, sessions: SessionStore, url: str) -> Response:
    """The provider sends the browser back: exchange the code, and begin a session."""
    if door.provider is None or visit.session is None:
        return RedirectResponse("/sign-in", 303)
    begun = visit.session
    try:
        query = dict(visit.request.query_params)
        tokens = await door.provider.finish(url, begun.provider, query)
        person = await person_of(door.backend, tokens.access, visit.today)
    except SignInRefusedError as error:
        return _refused(visit, error)
    except grpc.RpcError as error:
        return failures.failure(visit, 403, failures.sentence_of(visit, refusal_of(error)))
    # The cookie of the session is strict, so that the provider's redirect would not bring it
    # along: this page leads on, and it is of this site.
    after = local_path(begun.after)
    response = visit.page("signed_in.html", after=after)
    secure = url.startswith("https://")
    return await _signed_in(response, person, begun, sessions, secure=secure, tokens=tokens)


async def sign_out(visit: Visit, sessions: SessionStore, *, secure: bool) -> Response:
    """End the session."""
    if visit.session is not None:
        await sessions.end(visit.session)
    response = RedirectResponse("/sign-in", 303)
    for name in (session_cookie(secure=secure), sign_in_cookie(secure=secure)):
        response.delete_cookie(name, secure=secure, httponly=True)
    return response


async def _signed_in(
    response: Response,
    person: Person,
    begun: Session,
    sessions: SessionStore,
    *,
    secure: bool,
    **content: object,
) -> Response:
    """A session of its own secret: what was known of the browser before opens nothing."""
    session = await sessions.begin(person, entries=begun.entries, **content)
    await sessions.end(begun)
    log.info("signed_in", member=person.member, roles=list(person.roles))
    response.set_cookie(
        session_cookie(secure=secure),
        session.secret,
        httponly=True,
        secure=secure,
        samesite="strict",
    )
    response.delete_cookie(sign_in_cookie(secure=secure), secure=secure, httponly=True)
    return response


async def _choose(visit: Visit, door: Door, begun: Session, *, status: int = 200) -> HTMLResponse:
    """The page for somebody who is not signed in."""
    choices = await door.development.choices() if door.development else []
    return visit.page(
        "sign_in.html",
        status=status,
        choices=choices,
        person=None,
        navigation=(),
        csrf=begun.csrf,
        kept=begun.entries is not None,
        is_development=door.development is not None,
    )


def _begun(response: HTMLResponse, begun: Session, *, secure: bool) -> Response:
    response.set_cookie(
        sign_in_cookie(secure=secure), begun.secret, httponly=True, secure=secure, samesite="lax"
    )
    return response


def _refused(visit: Visit, error: SignInRefusedError) -> Response:
    log.info("sign_in_refused", error=str(error))
    sentence = visit.say(
        "The sign-in was not completed. Begin it again; if it fails again, tell your "
        "administrator.",
        "登录未完成。请重新登录；如再次失败，请联系管理员。",
    )
    return failures.failure(visit, 403, sentence)
