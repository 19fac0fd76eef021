"""One call: JSON in, the service's answer or its refusal out, as the Connect protocol says."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect
from starlette.responses import Response

from services.gateway import json_messages
from services.gateway.bodies import Body
from services.gateway.errors import (
    code_of,
    error_of,
    http_status_of,
    is_fault,
    language_of,
    retry_seconds,
    status_of_error,
)
from services.gateway.problems import ContentTypeUnknown, HeaderWrong, MethodIsPost
from services.gateway.services import PeerPlaces, Places, RefusedPeers, Services, token_in
from services.kernel.phrases import Phrase
from services.runtime.base.log import logger
from services.runtime.rpc.interceptors import DeadlinePassed
from services.runtime.rpc.limits import MESSAGE_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.rpc import status_pb2
    from starlette.requests import Request

    from services.gateway.methods import Method, Methods
    from services.gateway.settings import GatewaySettings

log = logger("gateway")

JSON, PROTO = "application/json", "application/proto"
_CONTENT_TYPE = re.compile(
    r"(application/(?:json|proto))(?:\s*;\s*charset=\"?utf-8\"?)?\s*", re.IGNORECASE
)
_MILLISECONDS = Phrase(
    "MILLISECONDS", "a number of milliseconds of at most ten digits", "毫秒数(至多十位数字)"
)
_TIMEOUT = re.compile(r"[0-9]{1,10}", re.ASCII)
# Nobody but the caller may keep an answer: it may show personal data.
HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
# A larger text is converted in a thread, so that other calls go on meanwhile.
LOOP_BYTES_MAX = 32 * 1024
CONVERSIONS_AT_ONCE = 2


class Calls:
    """The endpoint of all unary methods."""

    def __init__(
        self,
        methods: Methods,
        services: Services,
        settings: GatewaySettings,
        refused: RefusedPeers,
    ) -> None:
        self._methods = methods
        self._services = services
        self._settings = settings
        self._places = Places("everybody", settings.calls)
        self._peers = PeerPlaces(settings.calls_per_peer)
        self._refused = refused
        self._conversions = asyncio.Semaphore(CONVERSIONS_AT_ONCE)

    async def answer(self, request: Request) -> Response:
        """The answer to a request, or its refusal."""
        path = request.url.path
        service, seconds = "gateway", 0.0
        body = Body(request, MESSAGE_BYTES_MAX, self._settings.body_seconds)
        began = asyncio.get_running_loop().time()
        try:
            with self._peers.place(request), self._places.place():
                method = self._methods.find(path)
                service, seconds = method.service, float(method.cap_seconds)
                codec = _codec_of(request)
                seconds = _seconds_of(request, seconds)
                token = token_in(request.headers.get("authorization", ""))
                content = await body.read(self._settings.body_seconds)
                answer = await self._ask(method, content, codec, token, seconds)
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception as error:
            if is_fault(error):
                log.exception("json_call_failed", path=path[:200])
            status = status_of_error(error, service, path, seconds)
            log.info("json_call_refused", path=path[:200], code=code_of(status))
            await asyncio.sleep(self._refused.seconds_to_hold(request, status))
            await body.drain(error)
            return refusal(request, status, closes=body.is_open)
        taken = round(asyncio.get_running_loop().time() - began, 4)
        log.info("json_call_answered", path=path, seconds=taken)
        return Response(answer, media_type=codec, headers=HEADERS)

    async def _ask(
        self, method: Method, content: bytes, codec: str, token: str, seconds: float
    ) -> bytes:
        if codec == PROTO:
            return await self._services.call(
                method.service, method.grpc_path, content, token=token, seconds=seconds
            )
        asked = await self._convert(
            lambda: json_messages.parse(content, method.request).SerializeToString(), len(content)
        )
        answer = await self._services.call(
            method.service, method.grpc_path, asked, token=token, seconds=seconds
        )
        return await self._convert(
            lambda: json_messages.dump(method.answer.FromString(answer)), len(answer)
        )

    async def _convert(self, convert: Callable[[], bytes], size: int) -> bytes:
        if size <= LOOP_BYTES_MAX:
            return convert()
        async with self._conversions:
            return await asyncio.to_thread(convert)


def refusal(request: Request, status: status_pb2.Status, *, closes: bool = False) -> Response:
    """The answer that refuses; `closes` ends the connection, of which a body is not yet read."""
    language = language_of(request.headers.get("accept-language", ""))
    headers = {**HEADERS, "content-language": language}
    http_status = http_status_of(status)
    if seconds := retry_seconds(status):
        headers["retry-after"] = str(seconds)
    if http_status == 405:
        headers["allow"] = "POST"
    if http_status == 415:
        headers["accept-post"] = f"{JSON}, {PROTO}"
    if closes:
        headers["connection"] = "close"
    content = json_messages.dump_value(error_of(status, language))
    return Response(content, http_status, headers, media_type=JSON)


def _codec_of(request: Request) -> str:
    """The content type of body and answer. Raises a Problem for a wrong head."""
    if request.method != "POST":
        raise MethodIsPost(path=request.url.path)
    content_type = request.headers.get("content-type", "")
    match = _CONTENT_TYPE.fullmatch(content_type)
    if match is None:
        raise ContentTypeUnknown(content_type=content_type[:80] or "-", accepted=JSON)
    version = request.headers.get("connect-protocol-version", "1")
    if version != "1":
        raise HeaderWrong(header="Connect-Protocol-Version", form="1")
    return match[1].lower()


def _seconds_of(request: Request, cap: float) -> float:
    """The deadline of a call; without one it may take as long as the method."""
    text = request.headers.get("connect-timeout-ms")
    if text is None:
        return cap
    if not _TIMEOUT.fullmatch(text):
        raise HeaderWrong(
            header="Connect-Timeout-Ms",
            form=_MILLISECONDS,
        )
    if not int(text):
        raise DeadlinePassed(most_seconds="0")
    return int(text) / 1000
