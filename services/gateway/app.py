"""The routes of the gateway."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Route

from services.gateway.calls import HEADERS, Calls
from services.gateway.docs_page import OPENAPI_FILE, SECURITY_POLICY, docs_page
from services.gateway.methods import UPLOAD_PATH, Methods
from services.gateway.services import RefusedPeers
from services.gateway.uploads import Uploads

if TYPE_CHECKING:
    from starlette.requests import Request

    from services.gateway.services import Services
    from services.gateway.settings import GatewaySettings


def application(services: Services, settings: GatewaySettings) -> Starlette:
    """The application: calls of all unary methods, uploads, the description, health."""
    refused = RefusedPeers(time.monotonic)
    calls = Calls(Methods(services.names), services, settings, refused)
    page = docs_page(OPENAPI_FILE.read_text(encoding="utf-8"))

    async def docs(_request: Request) -> Response:
        return HTMLResponse(page, headers={"content-security-policy": SECURITY_POLICY})

    async def start(_request: Request) -> Response:
        return RedirectResponse("/docs")

    async def openapi(_request: Request) -> Response:
        return FileResponse(OPENAPI_FILE, media_type="application/json")

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "SERVING"}, headers=HEADERS)

    return Starlette(
        routes=[
            Route("/", start),
            Route("/docs", docs),
            Route("/openapi.json", openapi),
            Route("/health", health),
            Route(UPLOAD_PATH, Uploads(services, settings, refused)),
            Route(
                "/{path:path}",
                calls.answer,
                methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
            ),
        ]
    )
