"""How a consumer asks a producer for the data keys that its events name."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from oip.operations.v1 import operations_pb2, operations_pb2_grpc

from services.runtime.base.log import logger
from services.runtime.events.producer_keys import SharedKeys
from services.runtime.events.receiver import KeysNotFetchedError
from services.runtime.rpc.client import Channels, problem_of
from services.runtime.storage.crypto import DataKey, DataKeyErased, unwrap_with
from services.runtime.storage.key_sharing import Exchange

ANSWER_SECONDS = 5.0

log = logger("key_client")


async def fetch_keys(channels: Channels, producer: str, key_ids: Sequence[str]) -> SharedKeys:
    """The data keys of a producer, without those that it has destroyed.

    Raises KeysNotFetchedError if it does not answer, or refuses this service.
    """
    remaining_ids, erased = list(key_ids), list[str]()
    while remaining_ids:
        try:
            return SharedKeys(await _ask(channels, producer, remaining_ids), erased)
        except grpc.RpcError as error:
            problem = problem_of(error)
            destroyed = problem.metadata.get("keys", "").split()
            if problem.reason != DataKeyErased.reason or not set(destroyed) & set(remaining_ids):
                log.warning("keys_not_fetched", producer=producer, reason=problem.reason)
                raise KeysNotFetchedError(producer) from error
        erased += destroyed
        remaining_ids = [key_id for key_id in remaining_ids if key_id not in destroyed]
    return SharedKeys((), erased)


async def _ask(channels: Channels, producer: str, key_ids: Sequence[str]) -> list[DataKey]:
    stub = channels.stub(operations_pb2_grpc.OperationsServiceStub, producer)
    exchange = Exchange()
    request = operations_pb2.FindDataKeysRequest(keys=key_ids, public_key=exchange.public_key)
    answer = await stub.FindDataKeys(request, timeout=ANSWER_SECONDS)
    return shared_keys(exchange, answer)


def shared_keys(exchange: Exchange, answer: operations_pb2.FindDataKeysResponse) -> list[DataKey]:
    """The keys that a producer shared with this side of an exchange; raises DecryptionError."""
    wrapping = exchange.wrapping_key(answer.public_key, consumer_public_key=exchange.public_key)
    return [unwrap_with(wrapping, row.key, row.suite, row.wrapped) for row in answer.keys]
