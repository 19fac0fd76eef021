"""Connections: bounded in number, and each in the size and the time of a request's head."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES_MAX = 32 * 1024
_TEXT = b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n" + _TEXT + b"content-length: 0\r\n\r\n"
)
_HEAD_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n" + _TEXT + b"content-length: 0\r\n\r\n"
)


@dataclass(frozen=True)
class HttpLimits:
    """Connections of all callers and of one address; the times for a head and for an answer."""

    connections: int
    connections_per_peer: int
    head_seconds: float
    # How long an answer may wait for a caller who does not take it.
    idle_seconds: float


def bounded(limits: HttpLimits) -> type[HttpToolsProtocol]:
    """The protocol of a server with these bounds; its connections are counted together."""
    return type("BoundedProtocol", (_BoundedProtocol,), {"limits": limits, "peers": Counter()})


class _BoundedProtocol(HttpToolsProtocol):
    limits: ClassVar[HttpLimits]
    peers: ClassVar[Counter[str]]

    _in_head = False
    _head_bytes = 0
    _peer = ""
    _head_timer: asyncio.TimerHandle | None = None
    _answer_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._peer = self.client[0] if self.client else ""
        self.peers[self._peer] += 1
        if (
            len(self.connections) > self.limits.connections
            or self.peers[self._peer] > self.limits.connections_per_peer
        ):
            transport.write(_FULL)
            transport.close()
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        self._answer_taken()
        self.peers[self._peer] -= 1
        if not self.peers[self._peer]:
            del self.peers[self._peer]
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._is_idle:
            self._await_head()  # also for line breaks, which begin no request
        super().data_received(data)
        if not self._in_head:
            return
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES_MAX:
            self.transport.write(_HEAD_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        self._await_head()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_came()
        super().on_headers_complete()

    def timeout_keep_alive_handler(self) -> None:
        """A connection without a request ends; one whose answer nobody takes does so at once."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        super().timeout_keep_alive_handler()

    def pause_writing(self) -> None:
        """A caller that takes nothing of its answer for so long loses the connection."""
        super().pause_writing()
        self._answer_timer = self.loop.call_later(self.limits.idle_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._answer_taken()
        super().resume_writing()

    @property
    def _is_idle(self) -> bool:
        """Whether the answer to the last request is complete and no other has begun."""
        return (
            self._head_timer is None
            and not self._in_head
            and self.cycle is not None
            and self.cycle.response_complete
        )

    def _answer_taken(self) -> None:
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._answer_timer = None

    def _await_head(self) -> None:
        self._head_came()
        self._head_timer = self.loop.call_later(self.limits.head_seconds, self.transport.abort)

    def _head_came(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def send_400_response(self, msg: str) -> None:
        """A text that is no HTTP; a second one on a closing connection is dropped."""
        if not self.transport.is_closing():
            super().send_400_response(msg)


def options(limits: HttpLimits) -> dict[str, Any]:
    """The options of uvicorn for these bounds."""
    return {"http": bounded(limits), "ws": "none", "lifespan": "off", "server_header": False}
