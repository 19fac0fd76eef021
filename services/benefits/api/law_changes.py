"""The RPCs of benefits on changes of the law: adjustments, and figures published later."""

from __future__ import annotations

from oip.benefits.v1 import benefits_pb2, benefits_pb2_grpc

from services.benefits.api import parse
from services.benefits.api.format import provisional_award_message, true_up_message
from services.benefits.commands import indexation
from services.benefits.commands.awards import list_outdated
from services.benefits.domain import law as rules
from services.benefits.store import awards as award_store
from services.benefits.store import true_ups as true_up_store
from services.kernel import names
from services.runtime.rpc.paging import page_of
from services.runtime.rpc.wire import Context
from services.runtime.service.context import ServiceContext
from services.runtime.service.requests import change, read
from services.runtime.storage.database import Transaction, seeing_everything

CLAIM_COUNT = 500
WORKER_COUNT = 200


class LawChangeApi(benefits_pb2_grpc.BenefitServiceServicer):
    """The part of benefits that brings awards to the law as published."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def IndexAwards(
        self, request: benefits_pb2.IndexAwardsRequest, context: Context
    ) -> benefits_pb2.IndexAwardsResponse:
        """Bring awards up to the law as published."""
        claim_count = request.claim_count or CLAIM_COUNT

        async def work(tx: Transaction) -> benefits_pb2.IndexAwardsResponse:
            result = await indexation.index_awards(tx, claim_count, self._context.command())
            return benefits_pb2.IndexAwardsResponse(
                claim_count=result.claim_count,
                award_count=result.award_count,
                remaining_count=result.remaining_count,
            )

        return await change(
            self._context, request, benefits_pb2.IndexAwardsResponse, work, resource="awards"
        )

    async def ListProvisionalAwards(
        self, request: benefits_pb2.ListProvisionalAwardsRequest, context: Context
    ) -> benefits_pb2.ListProvisionalAwardsResponse:
        """Provisional awards, and what a true-up would change today."""
        page, command = page_of(request, str), self._context.command()
        area = parse.pooling_area_of(request.pooling_area)

        async def work(tx: Transaction) -> benefits_pb2.ListProvisionalAwardsResponse:
            awards = await award_store.list_provisional(
                tx,
                self._context.cipher,
                area,
                await list_outdated(tx, command) if request.changing_only else None,
                after=page.after,
                size=page.size,
            )
            async with seeing_everything(tx):
                workers = {award.worker for award in awards}
                previews = await indexation.preview_true_ups(tx, workers, command)
            rows = [
                provisional_award_message(award, previews.get(award.id), rules.LAW, command.today)
                for award in awards
                if award.id in previews or not request.changing_only
            ]
            return benefits_pb2.ListProvisionalAwardsResponse(
                rows=rows, next_page_token=page.next_token(awards, lambda award: (award.id,))
            )

        return await read(self._context, work)

    async def TrueUpAwards(
        self, request: benefits_pb2.TrueUpAwardsRequest, context: Context
    ) -> benefits_pb2.TrueUpAwardsResponse:
        """True provisional awards up to the figures published since."""
        worker_count = request.worker_count or WORKER_COUNT
        area = parse.pooling_area_of(request.pooling_area)

        async def work(tx: Transaction) -> benefits_pb2.TrueUpAwardsResponse:
            result = await indexation.true_up_awards(
                tx, area, worker_count, self._context.command()
            )
            return benefits_pb2.TrueUpAwardsResponse(
                true_ups=[true_up_message(each) for each in result.true_ups],
                worker_count=result.worker_count,
                remaining_count=result.remaining_count,
            )

        return await change(
            self._context, request, benefits_pb2.TrueUpAwardsResponse, work, resource="trueUps"
        )

    async def ListTrueUps(
        self, request: benefits_pb2.ListTrueUpsRequest, context: Context
    ) -> benefits_pb2.ListTrueUpsResponse:
        """What true-ups changed."""
        if request.claim:
            names.parse(request.claim, "claims", field="claim")
        page = page_of(request, int)
        area = parse.pooling_area_of(request.pooling_area)

        async def work(tx: Transaction) -> benefits_pb2.ListTrueUpsResponse:
            rows = await true_up_store.list_true_ups(tx, request.claim, area, page.after, page.size)
            return benefits_pb2.ListTrueUpsResponse(
                true_ups=[true_up_message(each) for _, each in rows],
                next_page_token=page.next_token(rows, lambda row: (row[0],)),
            )

        return await read(self._context, work)
