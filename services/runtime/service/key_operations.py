"""The operations on data keys: how many there are, and wrapping them with a new key."""

from __future__ import annotations

from oip.operations.v1 import operations_pb2, operations_pb2_grpc

from services.kernel.problems import Kind, Malformed, Problem
from services.runtime.rpc.wire import Context
from services.runtime.service.context import ServiceContext
from services.runtime.service.requests import change, read
from services.runtime.storage import data_keys
from services.runtime.storage.crypto import DataKey, unwrap_with, wrap_with
from services.runtime.storage.database import Transaction
from services.runtime.storage.key_sharing import PUBLIC_KEY_BYTES, Exchange

REWRAP_COUNT_MAX = 1000
SHARED_COUNT_MAX = 1000


class OtherNewestKey(Problem):
    """The key file of the service has another newest key than the request names."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "OTHER_NEWEST_KEY"
    message = (
        "The newest key in the key file of this service is {newest}, not {asked}; give every "
        "replica the key file with {asked} first."
    )
    message_zh = (
        "本服务密钥文件中最新密钥为 {newest}, 而非 {asked}; 请先向各副本分发含 {asked} 的密钥文件。"
    )


class KeyOperations(operations_pb2_grpc.OperationsServiceServicer):
    """The methods of OperationsService on data keys."""

    _context: ServiceContext

    async def GetDataKeys(
        self, request: operations_pb2.GetDataKeysRequest, context: Context
    ) -> operations_pb2.DataKeys:
        """By wrapping key, the newest last."""

        async def work(tx: Transaction) -> operations_pb2.DataKeys:
            counts = await data_keys.count_by_wrapping_key(tx)
            in_file = self._context.cipher.wrapping_ids
            unknown = [key for key in counts if key not in in_file]
            return operations_pb2.DataKeys(
                wrapped=[
                    operations_pb2.DataKeys.Wrapped(
                        wrapping_key=key,
                        data_key_count=counts.get(key, 0),
                        in_key_file=key in in_file,
                    )
                    for key in (*unknown, *in_file)
                ]
            )

        return await read(self._context, work)

    async def FindDataKeys(
        self, request: operations_pb2.FindDataKeysRequest, context: Context
    ) -> operations_pb2.FindDataKeysResponse:
        """Keys of persons, wrapped for the caller; the key of the service is never among them."""
        if not 0 < len(request.keys) <= SHARED_COUNT_MAX:
            raise Malformed.of(
                "keys",
                f"name 1 to {SHARED_COUNT_MAX:,} keys",
                f"请写出 1 至 {SHARED_COUNT_MAX:,} 个密钥",
            )
        exchange = Exchange()
        try:
            wrapping = exchange.wrapping_key(
                request.public_key, consumer_public_key=request.public_key
            )
        except ValueError:
            raise Malformed.of(
                "public_key",
                f"send a fresh X25519 public key of {PUBLIC_KEY_BYTES} bytes",
                f"请发送新生成的 X25519 公钥 ({PUBLIC_KEY_BYTES} 字节)",
            ) from None

        async def work(tx: Transaction) -> list[DataKey]:
            return await data_keys.list_of_persons(tx, self._context.cipher, request.keys)

        return operations_pb2.FindDataKeysResponse(
            public_key=exchange.public_key,
            keys=[
                operations_pb2.FindDataKeysResponse.SharedKey(
                    key=key.id,
                    suite=key.suite.number,
                    wrapped=wrap_with(wrapping, key),
                )
                for key in await read(self._context, work)
            ],
        )

    async def RewrapDataKeys(
        self, request: operations_pb2.RewrapDataKeysRequest, context: Context
    ) -> operations_pb2.RewrapDataKeysResponse:
        """Some data keys, in one transaction."""
        if not 0 <= request.data_key_count_max <= REWRAP_COUNT_MAX:
            raise Malformed.of(
                "data_key_count_max",
                f"write a number from 0 to {REWRAP_COUNT_MAX:,}",
                f"请填写 0 至 {REWRAP_COUNT_MAX:,} 的数字",
            )
        newest = self._context.cipher.wrapping_ids[-1]
        if request.wrapping_key != newest:
            raise OtherNewestKey(field="wrapping_key", newest=newest, asked=request.wrapping_key)

        async def work(tx: Transaction) -> operations_pb2.RewrapDataKeysResponse:
            limit = request.data_key_count_max or REWRAP_COUNT_MAX
            rewrapped = await data_keys.rewrap(tx, self._context.cipher, limit)
            return operations_pb2.RewrapDataKeysResponse(
                rewrapped_count=rewrapped.count, remaining_count=rewrapped.remaining_count
            )

        answer = operations_pb2.RewrapDataKeysResponse
        return await change(self._context, request, answer, work, resource="dataKeys")


def shared_keys(exchange: Exchange, answer: operations_pb2.FindDataKeysResponse) -> list[DataKey]:
    """The keys that a producer shared with this side of an exchange; raises DecryptionError."""
    wrapping = exchange.wrapping_key(answer.public_key, consumer_public_key=exchange.public_key)
    return [unwrap_with(wrapping, row.key, row.suite, row.wrapped) for row in answer.keys]
