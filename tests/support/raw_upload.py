"""Bytes sent to UploadOrders as they are, by a caller that keeps no rule."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from oip.orders.v1 import orders_pb2 as pb

from tests.support.platforms import SWIFT
from tests.support.stack_client import StackClient

PATH = "/oip.orders.v1.OrderService/UploadOrders"
CALL_SECONDS = 30


def packed(field: int, content: bytes) -> bytes:
    """A field of bytes as protobuf writes it."""
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    written = b""
    while number > 0x7F:
        written += bytes((number & 0x7F | 0x80,))
        number >>= 7
    return written + bytes((number,))


async def raw_upload(client: StackClient, *messages: bytes, **options: Any) -> list[Any]:
    """Send messages to a client's service; all answers."""
    token = client.stack.issuer.issue("test", ["platform"], SWIFT)
    return await send_raw(client.stack.addresses["orders"], token, *messages, **options)


async def refused_upload(client: StackClient, *messages: bytes, **options: Any) -> Any:
    """Send messages that are expected to end the stream; its error."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await raw_upload(client, *messages, **options)
    return caught.value


async def send_raw(
    address: str,
    token: str,
    *messages: bytes,
    metadata: Any = (),
    compression: grpc.Compression | None = None,
) -> list[Any]:
    """Send messages with this token and more metadata; all answers."""
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.stream_stream(
            PATH,
            request_serializer=bytes,
            response_deserializer=pb.UploadOrdersResponse.FromString,
        )(
            iter(messages),
            timeout=CALL_SECONDS,
            metadata=(("authorization", f"Bearer {token}"), *metadata),
            compression=compression,
        )
        return [answer async for answer in call]
