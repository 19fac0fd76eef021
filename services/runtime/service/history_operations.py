"""The operation on the audit: what was done with a resource, and who was shown it."""

from __future__ import annotations

from oip.operations.v1 import operations_pb2, operations_pb2_grpc

from services.runtime.rpc.paging import page_of
from services.runtime.rpc.wire import Context, moment_to_wire
from services.runtime.service.context import ServiceContext
from services.runtime.service.requests import read
from services.runtime.storage import audit
from services.runtime.storage.audit import Recorded
from services.runtime.storage.database import Transaction


class HistoryOperations(operations_pb2_grpc.OperationsServiceServicer):
    """The method of OperationsService on the audit."""

    _context: ServiceContext

    async def ListHistory(
        self, request: operations_pb2.ListHistoryRequest, context: Context
    ) -> operations_pb2.ListHistoryResponse:
        """What was recorded of a resource, newest first."""
        page = page_of(request, int)
        before = page.after[0] if page.after else None

        async def work(tx: Transaction) -> operations_pb2.ListHistoryResponse:
            entries = await audit.list_of_resource(
                tx,
                request.name,
                with_readings=request.include_readings,
                before=before,
                size=page.size,
            )
            return operations_pb2.ListHistoryResponse(
                entries=[entry_to_wire(entry) for entry in entries],
                next_page_token=page.next_token(entries, lambda entry: (entry.id,)),
            )

        return await read(self._context, work)


def entry_to_wire(entry: Recorded) -> operations_pb2.HistoryEntry:
    """An entry of the audit."""
    return operations_pb2.HistoryEntry(
        create_time=moment_to_wire(entry.time),
        action=entry.action,
        resource=entry.resource,
        subject=entry.actor,
        member=entry.member,
        asking_service=entry.asking_service,
    )
