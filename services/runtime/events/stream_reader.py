"""Reads back what a producer's own stream holds of its events. It consumes nothing.

What the producer did not sign is skipped: the stream may carry it, but it says nothing about the
database. Reading needs `$JS.API.STREAM.INFO.<stream>` and `$JS.API.STREAM.MSG.GET.<stream>`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import cast

import nats.js.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from services.runtime.events.envelope import Envelope, stream_of
from services.runtime.events.event_keys import EventTrust, NotAuthenticError
from services.runtime.events.jetstream import read_envelope

# Messages requested at a time.
PAGE_COUNT = 50


async def last_position(js: JetStreamContext, producer: str) -> int:
    """The place of the newest message of a producer's stream; 0 if it is empty or missing."""
    try:
        stream = await js.stream_info(stream_of(producer))
    except nats.js.errors.NotFoundError:
        return 0
    return stream.state.last_seq if stream.state.messages else 0


async def read_back(
    js: JetStreamContext, trust: EventTrust, producer: str, newest: int
) -> AsyncGenerator[Envelope, None]:
    """The events of a stream from a place backwards, newest first, down to the oldest message."""
    try:
        stream = await js.stream_info(stream_of(producer))
    except nats.js.errors.NotFoundError:
        return
    oldest = max(1, stream.state.first_seq)
    while newest >= oldest:
        places = range(newest, max(oldest, newest - PAGE_COUNT + 1) - 1, -1)
        for envelope in await asyncio.gather(
            *(_read(js, trust, producer, place) for place in places)
        ):
            if envelope is not None:
                yield envelope
        newest -= PAGE_COUNT


async def _read(
    js: JetStreamContext, trust: EventTrust, producer: str, place: int
) -> Envelope | None:
    try:
        message = await js.get_msg(stream_of(producer), place)
    except nats.js.errors.NotFoundError:
        return None
    if message.data is None:
        message.data = b""
    try:
        # It has the headers, the subject and the data of a delivered message.
        envelope = read_envelope(cast("Msg", message))
        trust.require_authentic(envelope)
    except NotAuthenticError:
        return None
    return envelope if envelope.producer == producer else None
