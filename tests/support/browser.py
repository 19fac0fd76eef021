"""A browser without a window: it keeps cookies, and fills in and sends the forms of pages."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import Any

import httpx2

_INPUT = re.compile(r"<input\b[^>]*>", re.DOTALL)
_ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')


@dataclass(frozen=True)
class Shown:
    """A page as it came."""

    status: int
    text: str
    headers: Any
    path: str

    def hidden(self, name: str) -> str:
        """The value of a hidden field; the last of its name."""
        return dict(self.hidden_fields())[name]

    def hidden_fields(self) -> list[tuple[str, str]]:
        """All hidden fields of the page's forms."""
        fields = []
        for tag in _INPUT.findall(self.text):
            attributes = dict(_ATTRIBUTE.findall(tag))
            if attributes.get("type") == "hidden":
                fields.append((attributes["name"], html.unescape(attributes["value"])))
        return fields


@dataclass
class Browser:
    """A browser at a console; `follow` leads on over redirects, as browsers do."""

    url: str
    client: httpx2.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx2.AsyncClient(base_url=self.url, follow_redirects=True, timeout=30)

    async def get(self, path: str, *, follow: bool = True, **headers: str) -> Shown:
        """The page at an address."""
        answer = await self.client.get(path, headers=headers, follow_redirects=follow)
        return _shown(answer)

    async def post(
        self, path: str, fields: dict[str, Any], *, follow: bool = True, **changes: Any
    ) -> Shown:
        """The answer to a form, which a page of this console sent; `origin` says another one."""
        headers = {"origin": changes.pop("origin", self.url)}
        answer = await self.client.post(
            path, data=fields, headers=headers, follow_redirects=follow, **changes
        )
        return _shown(answer)

    async def send(self, page: Shown, **entries: Any) -> Shown:
        """Send the form of a page with its hidden fields and these entries."""
        hidden = dict(page.hidden_fields())
        hidden.pop("after", None)
        named = {name.replace("__", "."): value for name, value in entries.items()}
        return await self.post(page.path, hidden | named)

    async def sign_in(self, account: str, platform: str = "") -> Shown:
        """Sign in as a person of a development stack; the answer leads to the home page."""
        page = await self.get("/sign-in")
        fields = {"csrf": page.hidden("csrf"), "person": f"{account}|{platform}"}
        return await self.post("/sign-in", fields, follow=False)

    async def close(self) -> None:
        """End all connections."""
        await self.client.aclose()


def _shown(answer: httpx2.Response) -> Shown:
    return Shown(answer.status_code, answer.text, answer.headers, answer.url.path)
