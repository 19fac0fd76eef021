"""The RPCs of grading on registers: the pool of specialists, and the items of the standard."""

from __future__ import annotations

from oip.grading.v1 import grading_pb2, grading_pb2_grpc

from services.grading.api import parse
from services.grading.api.format import item_to_wire, measured_item_to_wire, specialist_to_wire
from services.grading.commands import specialists
from services.grading.domain.law import LAW
from services.grading.domain.standard import Standard, standard_on
from services.grading.store import specialists as specialist_store
from services.runtime.rpc.paging import page_of
from services.runtime.rpc.wire import Context
from services.runtime.service.context import ServiceContext
from services.runtime.service.requests import change, read
from services.runtime.storage.database import Transaction


class RegisterApi(grading_pb2_grpc.GradingServiceServicer):
    """The part of grading that concerns no single appraisal."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def RegisterSpecialist(
        self, request: grading_pb2.RegisterSpecialistRequest, context: Context
    ) -> grading_pb2.Specialist:
        """Add a specialist to the pool."""
        specialist, command = parse.specialist_of(request), self._context.command()

        async def work(tx: Transaction) -> grading_pb2.Specialist:
            return specialist_to_wire(
                await specialists.register_specialist(tx, specialist, command)
            )

        return await change(
            self._context,
            request,
            grading_pb2.Specialist,
            work,
            resource=lambda answer: answer.name,
        )

    async def RenewSpecialist(
        self, request: grading_pb2.RenewSpecialistRequest, context: Context
    ) -> grading_pb2.Specialist:
        """Appoint a specialist for a further term."""
        specialist_id = parse.specialist_id_of(request.name)
        command = self._context.command()

        async def work(tx: Transaction) -> grading_pb2.Specialist:
            renewed = await specialists.renew_specialist(tx, specialist_id, command)
            return specialist_to_wire(renewed)

        return await change(
            self._context, request, grading_pb2.Specialist, work, resource=request.name
        )

    async def ListSpecialists(
        self, request: grading_pb2.ListSpecialistsRequest, context: Context
    ) -> grading_pb2.ListSpecialistsResponse:
        """The pool, by number."""
        page = page_of(request, str)
        (after,) = page.after or ("",)

        async def work(tx: Transaction) -> grading_pb2.ListSpecialistsResponse:
            pool = await specialist_store.list_by_number(tx, after, page.size)
            return grading_pb2.ListSpecialistsResponse(
                specialists=[specialist_to_wire(specialist) for specialist in pool],
                next_page_token=page.next_token(pool, lambda specialist: (specialist.number,)),
            )

        return await read(self._context, work)

    async def GetImpairmentItem(
        self, request: grading_pb2.GetImpairmentItemRequest, context: Context
    ) -> grading_pb2.ImpairmentItem:
        """One item of the standard in force."""
        standard = self._standard()
        return measured_item_to_wire(parse.item_of(request.name, standard), standard)

    async def SearchImpairmentItems(
        self, request: grading_pb2.SearchImpairmentItemsRequest, context: Context
    ) -> grading_pb2.SearchImpairmentItemsResponse:
        """Items of the standard in force, by number."""
        page = page_of(request, int, int)
        matching = parse.items_of(request, self._standard())
        items = [item for item in matching if item.place > page.after][: page.size]
        return grading_pb2.SearchImpairmentItemsResponse(
            items=[item_to_wire(item) for item in items],
            next_page_token=page.next_token(items, lambda item: item.place),
        )

    def _standard(self) -> Standard:
        """The standard in force today."""
        standard, _ = standard_on(LAW, self._context.command().today)
        return standard
