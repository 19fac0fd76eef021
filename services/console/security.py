"""What every request passes before a page sees it, and the headers of every answer."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]

# Forms without a file are small; the texts of a request have a few thousand characters each.
FORM_BYTES_MAX = 2 * 1024 * 1024
FIELDS_MAX = 2_000
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action {form}; "
    "base-uri 'none'; frame-ancestors 'none'"
)
SAFE_METHODS = frozenset({"GET", "HEAD"})


class BodyTooLargeError(Exception):
    """The body is larger than the page takes."""

    def __init__(self, mebibytes: int) -> None:
        super().__init__(f"more than {mebibytes} MiB")
        self.mebibytes = mebibytes


def add_headers(response: Response, *, provider: str = "", secure: bool = False) -> None:
    """Let nobody frame, sniff, keep or link a page from outside; no script runs.

    `provider` is the origin of the identity provider, to which the sign-in page may lead.
    """
    form = f"'self' {provider}".strip()
    response.headers.setdefault("content-security-policy", _POLICY.format(form=form))
    response.headers.setdefault("cache-control", "no-store")
    response.headers["x-content-type-options"] = "nosniff"
    response.headers["x-frame-options"] = "DENY"
    # Not `no-referrer`: with it browsers send `Origin: null` with forms.
    response.headers["referrer-policy"] = "same-origin"
    response.headers["cross-origin-opener-policy"] = "same-origin"
    response.headers["cross-origin-resource-policy"] = "same-origin"
    response.headers["permissions-policy"] = "camera=(), geolocation=(), microphone=()"
    if secure:
        response.headers["strict-transport-security"] = "max-age=31536000"


def is_own_host(request: Request, url: str) -> bool:
    """Whether the request names this console; else another site's name leads to it."""
    return request.headers.get("host", "").lower() == urlsplit(url).netloc.lower()


def is_own_origin(request: Request, url: str) -> bool:
    """Whether a page of this console sent the request, as browsers say with every form."""
    origin = request.headers.get("origin")
    if origin is None:
        referer = urlsplit(request.headers.get("referer", ""))
        origin = f"{referer.scheme}://{referer.netloc}"
    own = urlsplit(url)
    return origin.lower() == f"{own.scheme}://{own.netloc}".lower()


def has_token(sent: str, expected: str) -> bool:
    """Whether a form carries the CSRF token of its session."""
    return hmac.compare_digest(sent.encode(), expected.encode())


def bounded(request: Request, mebibytes: int | None = None) -> Request:
    """The request, whose body raises BodyTooLargeError once it is larger than allowed.

    Without `mebibytes` the limit is that of forms without a file.
    """
    limit = FORM_BYTES_MAX if mebibytes is None else mebibytes * 1024 * 1024 + FORM_BYTES_MAX
    shown = limit // (1024 * 1024) if mebibytes is None else mebibytes
    if int(request.headers.get("content-length") or 0) > limit:
        raise BodyTooLargeError(shown)
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise BodyTooLargeError(shown)
        return message

    return Request(request.scope, receive)
