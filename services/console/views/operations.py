"""The operator: delivery of events, health, dead letters, invariants on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oip.operations.v1 import operations_pb2, operations_pb2_grpc
from starlette.responses import Response

from services.console import failures
from services.console.backend import OPERATIONS
from services.console.forms import Ask
from services.console.pages import ADMINISTRATOR, Page
from services.console.steps import Step, Target, done_text, take
from services.console.values import moment_text, text_cell
from services.console.visit import Visit, or_none

DEAD_SHOWN = 100
RETRY = Step(
    "retry",
    f"{OPERATIONS}.RetryDeadLetter",
    ("Deliver the event again?", "是否重新投递该事件？"),
    ("What made it fail should be repaired first.", "请先排除失败原因。"),
    done=("The event was delivered again.", "事件已重新投递。"),
)
DISMISS = Step(
    "dismiss",
    f"{OPERATIONS}.DismissDeadLetter",
    ("Why is the event dropped?", "放弃该事件的理由是什么？"),
    ("It never takes effect at this service.", "该事件在此服务中不再生效。"),
    (Ask("code", ("Code", "类别")), Ask("reason", ("In words", "说明"))),
    done=("The event is dismissed.", "事件已放弃。"),
)
STEPS = {step.name: step for step in (RETRY, DISMISS)}


@dataclass(frozen=True)
class Standing:
    """A service as it answers; nothing where it does not."""

    name: str
    delivery: Any
    faults: Sequence[Any]
    dead_letters: Sequence[Any]

    @property
    def consumed(self) -> Mapping[str, Any]:
        """What it has consumed, by producer."""
        return {each.producer: each for each in self.delivery.consumed} if self.delivery else {}


@dataclass(frozen=True)
class Link:
    """A cell of the matrix: how far a consumer is behind its producer; nothing if it is none."""

    backlog: int | None


async def overview(visit: Visit) -> Response:
    """All services: who has consumed what, what fails, what waits."""
    standings = await asyncio.gather(*(_standing(visit, name) for name in visit.backend.names))
    by_name = {each.name: each for each in standings}
    producers = [each.name for each in standings if each.delivery is not None]
    matrix = [
        (consumer.name, [_link(by_name[producer], consumer) for producer in producers])
        for consumer in standings
        if consumer.delivery is not None
    ]
    return visit.page(
        "operations.html",
        standings=standings,
        producers=producers,
        matrix=matrix,
        done=done_text(visit, (RETRY, DISMISS)),
    )


async def _standing(visit: Visit, name: str) -> Standing:
    stub = visit.stub(operations_pb2_grpc.OperationsServiceStub, name)
    delivery, health, dead = await asyncio.gather(
        or_none(stub.GetDelivery(operations_pb2.GetDeliveryRequest())),
        or_none(stub.GetHealth(operations_pb2.GetHealthRequest())),
        or_none(stub.ListDeadLetters(operations_pb2.ListDeadLettersRequest(page_size=DEAD_SHOWN))),
    )
    return Standing(
        name,
        delivery,
        list(health.faults) if health else [],
        list(dead.dead_letters) if dead else [],
    )


def _link(producer: Standing, consumer: Standing) -> Link:
    consumed = consumer.consumed.get(producer.name)
    if consumed is None:
        return Link(None)
    return Link(max(0, producer.delivery.published_seq - consumed.event_count))


async def invariants(visit: Visit) -> Response:
    """Recompute the invariants of a service; a form, because it costs the services work."""
    if not visit.is_post:
        return visit.page("invariants.html", results=None, failed=0)
    names = [visit.entry("service")] if visit.entry("service") else list(visit.backend.names)
    if not set(names) <= set(visit.backend.names):
        return failures.failure(visit, 404)

    async def verify(name: str) -> tuple[str, Any]:
        stub = visit.stub(operations_pb2_grpc.OperationsServiceStub, name)
        return name, await or_none(stub.Verify(operations_pb2.VerifyRequest(), timeout=110))

    results = await asyncio.gather(*map(verify, names))
    failed = sum(
        not check.holds for _, answer in results if answer is not None for check in answer.checks
    )
    return visit.page("invariants.html", results=results, failed=failed)


async def dead_letter(visit: Visit) -> Response:
    """Retry or dismiss an event that a service could not consume."""
    service = visit.path("service")
    if service not in visit.backend.names:
        return failures.failure(visit, 404)
    chosen = STEPS[visit.request.url.path.rpartition("/")[2]]
    number = visit.path("id")
    name = f"deadLetters/{number}"
    stub = visit.stub(operations_pb2_grpc.OperationsServiceStub, service)
    answer = await stub.ListDeadLetters(
        operations_pb2.ListDeadLettersRequest(page_size=1000, include_resolved=True)
    )
    letter = next((each for each in answer.dead_letters if each.name == name), None)
    if letter is None:
        return failures.failure(visit, 404)
    details = [
        (visit.say("Service", "服务"), text_cell(service)),
        (visit.say("Event", "事件"), text_cell(letter.event.subject)),
        (visit.say("Error", "错误"), text_cell(letter.error)),
        (visit.say("Since", "时间"), text_cell(moment_text(letter.create_time))),
    ]
    target = Target(name, "/operations", {"name": name}, details=details, service=service)
    return await take(visit, chosen, target)


PAGES = (
    Page("/operations", overview, ADMINISTRATOR),
    Page("/operations/invariants", invariants, ADMINISTRATOR, takes_form=True),
    *(
        Page(
            f"/operations/{{service}}/dead-letters/{{id}}/{name}",
            dead_letter,
            ADMINISTRATOR,
            takes_form=True,
        )
        for name in STEPS
    ),
)
