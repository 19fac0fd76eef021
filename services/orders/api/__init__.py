"""Entrance for RPC: parse, open the transaction, call a command or a store question, format."""

from __future__ import annotations

from oip.orders.v1 import orders_pb2_grpc

from services.orders.api.archiving import ArchivingApi
from services.orders.api.completeness import CompletenessApi
from services.orders.api.evidence import EvidenceApi
from services.orders.api.lookup import LookupApi
from services.orders.api.upload import UploadApi
from services.orders.commands.workers import WorkerPool
from services.runtime.service.context import ServiceContext

WORKER_COUNT = 2


class OrderApi(  # type: ignore[misc]  # UploadOrders is served by `upload_handlers`
    UploadApi,
    LookupApi,
    CompletenessApi,
    EvidenceApi,
    ArchivingApi,
    orders_pb2_grpc.OrderServiceServicer,
):
    """Takes in order records and answers for them."""

    def __init__(self, context: ServiceContext) -> None:
        pool = WorkerPool(WORKER_COUNT)
        context.closing.push_async_callback(pool.close)
        UploadApi.__init__(self, running, pool)
        LookupApi.__init__(self, context)
        CompletenessApi.__init__(self, context)
        EvidenceApi.__init__(self, running, pool)
        ArchivingApi.__init__(self, context)
