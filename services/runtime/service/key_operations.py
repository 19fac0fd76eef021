"""The operations on data keys: counting, sharing, wrapping with a new key, erasing."""

from __future__ import annotations

from dataclasses import replace

from oip.operations.v1 import operations_pb2, operations_pb2_grpc
from oip.type.v1 import type_pb2

from services.kernel import names
from services.kernel.problems import Kind, Malformed, OutOfRange, Problem
from services.runtime.base.log import logger
from services.runtime.events import personal_fields
from services.runtime.rpc.access import caller
from services.runtime.rpc.wire import Context
from services.runtime.service.context import Service, ServiceContext
from services.runtime.service.erasures import Obstacle
from services.runtime.service.requests import change, content_hash, read
from services.runtime.storage import audit, data_keys
from services.runtime.storage.crypto import wrap_with
from services.runtime.storage.database import Transaction
from services.runtime.storage.key_sharing import PUBLIC_KEY_BYTES, Exchange

log = logger("key_operations")

REWRAP_COUNT_MAX = 1000
SHARED_COUNT_MAX = 100


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


class NotAConsumer(Problem):
    """A service asks for data keys of a producer whose events it does not consume."""

    kind, reason = Kind.FORBIDDEN, "NOT_A_CONSUMER"
    message = (
        "{caller} does not consume events of {producer} that have personal fields, so it gets no"
        " data keys; declare it as a consumer in the protos if it should."
    )
    message_zh = (
        "{caller} 不是 {producer} 含个人信息事件的消费方, 不能获取数据密钥; 如确需消费, 请在接口"
        "定义中声明。"
    )


class KeyOperations(operations_pb2_grpc.OperationsServiceServicer):
    """The methods of OperationsService on data keys."""

    _service: Service
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
        who, service = caller(), self._context.service
        consumers = personal_fields.consumers_of(service)
        if who.subject not in {f"services/{name}" for name in consumers}:
            log.warning("keys_refused", service=service, caller=who.subject)
            raise NotAConsumer(caller=who.subject, producer=service)
        if not 0 < len(request.keys) <= SHARED_COUNT_MAX:
            raise OutOfRange.of("keys", len(request.keys), 1, SHARED_COUNT_MAX)
        exchange = Exchange()
        try:
            wrapping = exchange.wrapping_key(
                request.public_key, consumer_public_key=request.public_key
            )
        except ValueError:
            raise Malformed.of(
                "public_key",
                "NOT_A_PUBLIC_KEY",
                "send a fresh {kind} public key of {length} bytes",
                "请发送新生成的 {kind} 公钥 ({length} 字节)",
                kind="X25519",
                length=PUBLIC_KEY_BYTES,
            ) from None
        async with self._context.database.begin(who.scope) as tx:
            keys = await data_keys.list_of_persons(tx, self._context.cipher, request.keys)
            entry = audit.Entry(
                actor=who.subject,
                action=request.DESCRIPTOR.full_name,
                resource="",
                request_hash=content_hash(request),
                asking_service=who.asking_service,
            )
            entries = [replace(entry, resource=f"dataKeys/{key.id}") for key in keys]
            await audit.append_all(tx, self._context.clock.now(), entries)
        return operations_pb2.FindDataKeysResponse(
            public_key=exchange.public_key,
            keys=[
                operations_pb2.FindDataKeysResponse.SharedKey(
                    key=key.id,
                    suite=key.suite.number,
                    wrapped=wrap_with(wrapping, key),
                )
                for key in keys
            ],
        )

    async def GetErasureObstacles(
        self, request: operations_pb2.GetErasureObstaclesRequest, context: Context
    ) -> operations_pb2.ErasureObstacles:
        """What keeps this service from erasing a worker."""
        erasing = self._service.erasing
        names.parse(request.worker, "workers", field="worker")

        async def work(tx: Transaction) -> list[Obstacle]:
            return [] if erasing is None else await erasing.obstacles(tx, request.worker)

        return operations_pb2.ErasureObstacles(
            obstacles=[
                type_pb2.ErasureObstacle(code=obstacle.code, resource=obstacle.resource)
                for obstacle in await read(self._context, work)
            ]
        )

    async def RewrapDataKeys(
        self, request: operations_pb2.RewrapDataKeysRequest, context: Context
    ) -> operations_pb2.RewrapDataKeysResponse:
        """Some data keys, in one transaction."""
        if not 0 <= request.data_key_count_max <= REWRAP_COUNT_MAX:
            raise OutOfRange.of(
                "data_key_count_max", request.data_key_count_max, 0, REWRAP_COUNT_MAX
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
