"""The application: routes, and what happens to a request before and after its page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import grpc
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from services.console import failures, navigation, sign_in
from services.console.backend import Backend, refusal_of
from services.console.pages import Page, all_pages
from services.console.rendering import Templates
from services.console.security import (
    FIELDS_MAX,
    FORM_BYTES_MAX,
    BodyTooLargeError,
    add_headers,
    bounded,
    has_token,
    is_own_host,
    is_own_origin,
)
from services.console.sessions import Session, SessionStore
from services.console.settings import ConsoleSettings
from services.console.sign_in import Door
from services.console.static_files import static_file
from services.console.texts import language_of
from services.console.uploads import Uploads
from services.console.visit import CSRF, Visit
from services.kernel.problems import Problem
from services.runtime.base.clock import Clock
from services.runtime.base.log import logger

log = logger("console")

LANGUAGE_COOKIE = "oip-language"
YEAR_SECONDS = 365 * 24 * 3600


class Console:
    """The application's parts, and the one way of a request through them."""

    def __init__(
        self,
        settings: ConsoleSettings,
        backend: Backend,
        sessions: SessionStore,
        door: Door,
        clock: Clock,
    ) -> None:
        self.settings = settings
        self.backend = backend
        self.sessions = sessions
        self.door = door
        self.clock = clock
        self.templates = Templates()
        self.uploads = Uploads(settings.uploads, settings.upload_mebibytes)
        # The address in the browser, known once the server listens.
        self.url = settings.url.rstrip("/")

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach it over TLS."""
        return self.url.startswith("https://")

    def application(self) -> Starlette:
        """The routes of all pages."""
        own = [
            Route("/health", self._health),
            Route("/static/{name}", self._static),
            Route("/language", self._entrance(self._language), methods=["POST"]),
            Route("/sign-in", self._entrance(self._sign_in), methods=["GET", "POST"]),
            Route("/sign-in/callback", self._entrance(self._callback)),
            Route("/sign-out", self._entrance(self._sign_out), methods=["POST"]),
        ]
        pages = [
            Route(
                page.path,
                self._entrance(self._page(page)),
                methods=["GET", "POST"] if page.takes_form else ["GET"],
            )
            for page in all_pages()
        ]
        application = Starlette(routes=[*own, *pages])
        application.add_exception_handler(HTTPException, self._no_route)
        return application

    def _entrance(
        self, answer: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """What every request passes: the host, the headers, and no error without a page."""

        async def pass_through(request: Request) -> Response:
            if not is_own_host(request, self.url):
                response: Response = PlainTextResponse(
                    f"This is {self.url}; open that address.\n", 421
                )
            else:
                response = await self._answered(answer, request)
            add_headers(response, provider=self.door.provider_origin, secure=self.is_secure)
            return response

        return pass_through

    async def _answered(
        self, answer: Callable[[Request], Awaitable[Response]], request: Request
    ) -> Response:
        try:
            return await answer(request)
        except ClientDisconnect:
            return Response(status_code=499)
        except BodyTooLargeError as error:
            visit = self._known(request)
            sentence = visit.say(
                f"More than {error.mebibytes} MiB cannot be sent at once; split the file.",
                f"单次最多发送 {error.mebibytes} MiB，请拆分文件后再上传。",
            )
            return failures.failure(visit, 413, sentence)
        except HTTPException as error:
            return failures.failure(self._known(request), error.status_code)
        except Exception:
            log.exception("page_failed", path=request.url.path[:200])
            return failures.failure(self._known(request), 500)

    def _known(self, request: Request) -> Visit:
        """The visit as far as it came: with the person, and with what was entered."""
        visit = getattr(request.state, "visit", None)
        return visit if isinstance(visit, Visit) else self._visit(request, None)

    def _page(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            session = await self._session(request)
            if request.method == "POST" and not is_own_origin(request, self.url):
                return self._foreign(request)
            limit = self.settings.upload_mebibytes if page.takes_file else None
            request.state.visit = self._visit(request, session)
            visit = request.state.visit = await self._with_form(request.state.visit, limit)
            if session is None or session.person is None:
                return await sign_in.needed(visit, self.door, self.sessions, self.is_secure)
            if visit.is_post and not has_token(visit.entry(CSRF), session.csrf):
                return failures.form_outdated(visit)
            if page.roles and page.roles.isdisjoint(session.person.roles):
                return failures.failure(visit, 403)
            return await self._shown(page, visit)

        return answer

    async def _shown(self, page: Page, visit: Visit) -> Response:
        try:
            return await page.handler(visit)
        except grpc.RpcError as error:
            if refusal_of(error).code is grpc.StatusCode.UNAUTHENTICATED:
                return await sign_in.needed(visit, self.door, self.sessions, self.is_secure)
            return failures.of_error(visit, error)
        except Problem as problem:
            return failures.of_problem(visit, problem)
        finally:
            for file in visit.files.values():
                await file.close()

    def _foreign(self, request: Request) -> Response:
        visit = self._visit(request, None)
        sentence = visit.say(
            "The form was sent from another site. Nothing was changed; open the page here.",
            "该表单由其他网站发送，未作任何更改；请在本系统中打开页面办理。",
        )
        return failures.failure(visit, 403, sentence)

    async def _session(self, request: Request) -> Session | None:
        """The session of the request's cookie, with tokens that are valid now."""
        secret = request.cookies.get(sign_in.session_cookie(secure=self.is_secure), "")
        session = await self.sessions.find(secret) if secret else None
        if session is None or session.person is None:
            return None
        current = await self.door.credentials.current(session)
        if current is not None and current != session:
            await self.sessions.change(session, tokens=current.tokens)
        if current is not None and current.entries is not None and request.method == "POST":
            current = await self.sessions.change(current, entries=None)
        return current

    def _visit(self, request: Request, session: Session | None) -> Visit:
        roles = session.person.role_set if session and session.person else frozenset[str]()
        return Visit(
            request,
            language_of(request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE)),
            self.backend,
            self.templates,
            self.clock,
            self.uploads,
            session,
            self.door.credentials.token_of(session) if session else "",
            navigation=navigation.of(roles),
        )

    async def _with_form(self, visit: Visit, mebibytes: int | None) -> Visit:
        if not visit.is_post:
            return visit
        form = await bounded(visit.request, mebibytes).form(
            max_files=1, max_fields=FIELDS_MAX, max_part_size=FORM_BYTES_MAX
        )
        items = form.multi_items()
        return replace(
            visit,
            fields=tuple((name, value) for name, value in items if isinstance(value, str)),
            files={
                name: value
                for name, value in items
                if isinstance(value, UploadFile) and value.filename
            },
        )

    async def _sign_in(self, request: Request) -> Response:
        if request.method == "POST" and not is_own_origin(request, self.url):
            return self._foreign(request)
        secret = request.cookies.get(sign_in.sign_in_cookie(secure=self.is_secure), "")
        begun = await self.sessions.find(secret) if secret else None
        visit = await self._with_form(self._visit(request, begun), None)
        return await sign_in.page(visit, self.door, self.sessions, self.url)

    async def _callback(self, request: Request) -> Response:
        secret = request.cookies.get(sign_in.sign_in_cookie(secure=self.is_secure), "")
        begun = await self.sessions.find(secret) if secret else None
        visit = self._visit(request, begun)
        return await sign_in.callback(visit, self.door, self.sessions, self.url)

    async def _sign_out(self, request: Request) -> Response:
        session = await self._session(request)
        if not is_own_origin(request, self.url):
            return self._foreign(request)
        visit = await self._with_form(self._visit(request, session), None)
        if session is not None and not has_token(visit.entry(CSRF), session.csrf):
            return failures.form_outdated(visit)
        return await sign_in.sign_out(visit, self.sessions, secure=self.is_secure)

    async def _language(self, request: Request) -> Response:
        """Set the language: a choice of the browser, which changes nothing of a person."""
        if not is_own_origin(request, self.url):
            return self._foreign(request)
        visit = await self._with_form(self._visit(request, None), None)
        response = visit.see(sign_in.local_path(visit.entry("after")))
        response.set_cookie(
            LANGUAGE_COOKIE,
            "en" if visit.entry("language") == "en" else "zh",
            max_age=YEAR_SECONDS,
            httponly=True,
            secure=self.is_secure,
            samesite="lax",
        )
        return response

    async def _static(self, request: Request) -> Response:
        file = static_file(request.path_params["name"])
        if file is None:
            return PlainTextResponse("Not found\n", 404)
        headers = {"cache-control": "public, max-age=3600"}
        response = Response(file.content, media_type=file.media_type, headers=headers)
        add_headers(response, secure=self.is_secure)
        return response

    @staticmethod
    async def _health(_request: Request) -> Response:
        return JSONResponse({"status": "SERVING"})

    async def _no_route(self, request: Request, error: Exception) -> Response:
        """A page for an address that does not exist, or does not take forms."""
        status = error.status_code if isinstance(error, HTTPException) else 404
        session = await self._session(request) if is_own_host(request, self.url) else None
        response = failures.failure(self._visit(request, session), 404 if status == 405 else status)
        add_headers(response, secure=self.is_secure)
        return response
