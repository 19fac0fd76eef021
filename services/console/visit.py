"""One request of one person: what a page needs to answer it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from services.console.backend import Backend
from services.console.rendering import Templates
from services.console.sessions import Person, Session
from services.console.texts import Text, say
from services.console.uploads import Uploads
from services.kernel.periods import civil_day
from services.kernel.phrases import Language
from services.kernel.problems import Problem
from services.runtime.base.clock import Clock

Stub = TypeVar("Stub")
R = TypeVar("R")

# Hidden fields that belong to the mechanism and not to an entry.
CSRF = "csrf"


@dataclass(frozen=True)
class Visit:
    """A request with its session, its language and the services as its person sees them."""

    request: Request
    language: Language
    backend: Backend
    templates: Templates
    clock: Clock
    uploads: Uploads
    session: Session | None
    token: str = ""
    # The fields of a posted form, in order; and its files.
    fields: tuple[tuple[str, str], ...] = ()
    files: Mapping[str, UploadFile] = field(default_factory=dict)
    # The navigation of the person: addresses and titles.
    navigation: Sequence[tuple[str, Text]] = ()

    @property
    def person(self) -> Person:
        """Who is signed in; only pages for nobody in particular may ask without one."""
        if self.session is None or self.session.person is None:
            raise RuntimeError("a page that is not open was reached without a sign-in")
        return self.session.person

    @property
    def is_post(self) -> bool:
        """Whether a form was sent."""
        return self.request.method == "POST"

    @property
    def now(self) -> datetime:
        """The moment."""
        return self.clock.now()

    @property
    def today(self) -> date:
        """The civil day in Asia/Shanghai."""
        return civil_day(self.clock.now())

    def say(self, en: str, zh: str) -> str:
        """One of two texts."""
        return say((en, zh), self.language)

    def path(self, name: str) -> str:
        """A parameter of the address."""
        return str(self.request.path_params[name])

    def query(self, name: str, default: str = "") -> str:
        """A parameter of the query."""
        return self.request.query_params.get(name, default)

    def entry(self, name: str, default: str = "") -> str:
        """A field of the form: the last value of its name."""
        return dict(self.fields).get(name, default)

    def has_role(self, *roles: str) -> bool:
        """Whether the person has one of these roles."""
        return not self.person.role_set.isdisjoint(roles)

    def stub(self, stub_class: Callable[[grpc.aio.Channel], Stub], service: str) -> Stub:
        """A stub of a service, called as the person."""
        return self.backend.stub(stub_class, service, self.token)

    async def call(self, method: MethodDescriptor, request: Message, service: str = "") -> Any:
        """The answer of a method, called as the person."""
        return await self.backend.call(method, request, self.token, service)

    def page(self, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """A page from a template."""
        person = self.session.person if self.session else None
        content = self.templates.render(
            template,
            self.language,
            {
                "visit": self,
                "person": person,
                "navigation": self.navigation,
                "path": self.request.url.path,
                "address": self.address(),
                "csrf": self.session.csrf if self.session else "",
                "now": self.now,
                **values,
            },
        )
        return HTMLResponse(content, status)

    def address(self, **changes: str | None) -> str:
        """The address of this page with other parameters of the query; None leaves one out."""
        pairs = [
            (name, value)
            for name, value in self.request.query_params.multi_items()
            if name not in changes
        ]
        pairs += [(name, value) for name, value in changes.items() if value is not None]
        query = f"?{urlencode(pairs)}" if pairs else ""
        return f"{quote(self.request.url.path)}{query}"

    @staticmethod
    def see(path: str) -> Response:
        """Send the browser to another page; reloading it repeats no change."""
        return RedirectResponse(path, 303)


async def or_none(call: Awaitable[R]) -> R | None:
    """An answer, or nothing if it is refused: for parts of a page that others may not see."""
    try:
        return await call
    except (grpc.RpcError, Problem):
        return None


async def together(*calls: Awaitable[Any]) -> list[Any]:
    """The answers of calls that do not wait for each other; nothing in place of a refused one."""
    return list(await asyncio.gather(*(or_none(call) for call in calls)))
