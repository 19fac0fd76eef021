"""Any field of any method with odd values: refused with reason and sentences, and nothing changes.

The requests come from the descriptors, the names in them from a month with orders, bills, claims,
appraisals and awards. A value that no field of its type may hold is refused as INVALID_ARGUMENT;
any other is answered, or refused for what it is. What a method takes is rolled back.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor

from services.demo.province import COMPANIES
from services.kernel.problems import Kind, Problem
from services.runtime.rpc.access import caller, rule_in
from services.runtime.rpc.client import problem_of
from services.runtime.rpc.roles import role_name
from services.runtime.service import requests, signatures
from tests.contract.test_access import METHODS, services_with
from tests.journeys.conftest import SimulatedMonth
from tests.support.odd_values import Odd, usual_value, walk
from tests.support.staff import all_grants, staff_entry, store_entries

AT_ONCE = 8
SETTLED_SECONDS = 3.0
WALKER, PLATFORM = "walker", COMPANIES[0]
FAULTS = {"INTERNAL", "UNKNOWN", "UNAVAILABLE", "UNIMPLEMENTED", "DEADLINE_EXCEEDED", "DATA_LOSS"}
# What is written although a request is refused: who was shown personal data, and the order records
# that claims freezes before it files.
WRITTEN_AHEAD = re.compile(r"\w+\.audit\w*|orders\.(order_freeze|command)")
# Of two roles the one that reaches further; a service only where nobody else may call.
ROLES_LAST = ("platform", "worker_agent", "service")
TABLES = """
select table_schema, table_name from information_schema.tables
    where table_type = 'BASE TABLE' and table_schema = any(%s) order by 1, 2
"""


class NotKept(Problem):
    """The change would be made; the walk does not keep it."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "NOT_KEPT"
    message = "This would be done; the walk does not keep it."
    message_zh = "该请求可以办理; 测试不予保留。"


@pytest.fixture(scope="module")
async def walked(simulated: SimulatedMonth) -> AsyncIterator[Walker]:
    """A month in which everything has happened, and a person with every role."""
    await simulated.enrol_and_send()
    await simulated.bill()
    filed = await simulated.claim()
    await simulated.grade_and_pay(filed)
    context, url = simulated.stack.contexts, simulated.stack.settings.database_url
    entry = staff_entry(WALKER, all_grants((PLATFORM.credit_code,)))
    await store_entries(url, context, [entry])
    walker = Walker(simulated, await names_in(url))
    yield walker
    await walker.close()


async def names_in(url: str) -> dict[str, str]:
    """The name of a resource by collection."""
    code = PLATFORM.credit_code
    questions = {
        "workers": "select 'workers/' || id from enrolment.worker limit 1",
        "claims": "select 'claims/' || claim_id from claims.claim order by create_time limit 1",
        "accidentReports": "select 'accidentReports/' || report_id from claims.accident_report",
        "appraisals": "select 'appraisals/' || id from grading.appraisal limit 1",
        "specialists": "select 'specialists/' || id from grading.specialist limit 1",
        "awards": "select 'awards/' || id from benefits.award limit 1",
        "orders": f"select order_no from orders.orders where platform = '{code}' limit 1",
        "batches": f"select batch_id from orders.order_batch where platform = '{code}' limit 1",
        "epoch": "select epoch from fund.outbox_counter limit 1",
        "staffMembers": "select member from fund.staff_member order by member limit 1",
    }
    answers = {}
    async with await psycopg.AsyncConnection.connect(url) as connection:
        for collection, question in questions.items():
            row = await (await connection.execute(question.encode())).fetchone()
            assert row is not None, collection
            answers[collection] = str(row[0])
    return answers


class Walker:
    """Sends odd requests, and knows usual values for the other fields."""

    def __init__(self, simulated: SimulatedMonth, names: dict[str, str]) -> None:
        self.simulated = simulated
        self._names = names
        self._numbers = itertools.count()
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._tokens: dict[str, str] = {}

    def fill(self, method: MethodDescriptor) -> Callable[[str, FieldDescriptor], Any]:
        """The usual value of each field of a method."""
        usual = self._usual(method)

        def value(_path: str, field: FieldDescriptor) -> Any:
            if field.name in usual and field.type == FieldDescriptor.TYPE_STRING:
                return usual[field.name]
            if field.name == "request_id":
                return f"walk-{next(self._numbers)}"
            return usual_value(field)

        return value

    def _usual(self, method: MethodDescriptor) -> dict[str, Any]:
        names = self._names
        by_method = {
            "GetPlatform": PLATFORM.name,
            "GetWorker": names["workers"],
            "GetOrder": f"{PLATFORM.name}/orders/{names['orders']}",
            "GetOrderProof": f"{PLATFORM.name}/orders/{names['orders']}",
            "GetOrderBatch": f"{PLATFORM.name}/orderBatches/{names['batches']}",
            "GetPremiumBill": f"{PLATFORM.name}/premiumBills/2025-07",
            "GetPaymentRun": "paymentRuns/2025-07",
            "GetSettlementPeriod": "settlementPeriods/2025-07",
            "GetImpairmentItem": "impairmentItems/6.14",
            "ReverseDisbursement": "disbursements/d1",
            "ReversePremiumReceipt": f"{PLATFORM.name}/premiumReceipts/r1",
        }
        by_service = {
            "BenefitService": names["awards"],
            "ClaimService": names["claims"],
            "AccidentService": names["claims"],
            "GradingService": names["appraisals"],
            "StaffService": names["staffMembers"],
            "OperationsService": "pendingActs/p1",
        }
        return {
            "name": by_method.get(method.name, by_service.get(method.containing_service.name)),
            "platform": PLATFORM.name,
            "worker": names["workers"],
            "claim": names["claims"],
            "award": names["awards"],
            "holder": names["claims"],
            "previous": names["appraisals"],
            "specialist": names["specialists"],
            "member": names["staffMembers"],
            "accident_report": names["accidentReports"],
            "bill": f"{PLATFORM.name}/premiumBills/2025-07",
            "order_batch": f"{PLATFORM.name}/orderBatches/{names['batches']}",
            "payment_run": "paymentRuns/2025-07",
            "served_order": f"{PLATFORM.name}/orders/{names['orders']}",
            "merged_claim": "claims/c2",
            "pooling_area": "440100",
            "place_of_injury": "440106",
            "areas": "440100",
            "epoch": names["epoch"],
            "producer": "claims",
            "base_yuan": "0.04",
            "band": "1.0",
        }

    async def outcome(self, service: str, odd: Odd) -> str:
        """`OK`, or code and reason of the refusal, and what its sentences lack."""
        method = odd.method
        channel = self._channels.get(service)
        if channel is None:
            channel = grpc.aio.insecure_channel(self.simulated.stack.addresses[service])
            self._channels[service] = channel
        kind = {
            (False, False): channel.unary_unary,
            (False, True): channel.unary_stream,
            (True, True): channel.stream_stream,
        }[method.client_streaming, method.server_streaming]
        call: Any = kind(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=type(odd.request).SerializeToString,
            response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
        )
        sent = iter([odd.request]) if method.client_streaming else odd.request
        metadata = (("authorization", f"Bearer {self._token(method)}"),)
        try:
            answer = call(sent, timeout=25, metadata=metadata)
            if not method.server_streaming:
                await answer
                return "OK"
            async for part in answer:
                if "problem" in method.output_type.fields_by_name and part.problem.code:
                    code = next(c.name for c in grpc.StatusCode if c.value[0] == part.problem.code)
                    return f"{code} of a batch"
        except grpc.aio.AioRpcError as error:
            return described(error)
        return "OK"

    def _token(self, method: MethodDescriptor) -> str:
        rule = rule_in(method)
        assert rule is not None
        roles = sorted(map(role_name, rule.roles), key=lambda role: (role in ROLES_LAST, role))
        role = roles[0]
        if role not in self._tokens:
            subject = "services/claims" if role == "service" else WALKER
            platform = PLATFORM.credit_code if role.startswith("platform") else ""
            person = self._names["workers"] if role == "worker_agent" else ""
            issue = self.simulated.stack.issuer.issue
            self._tokens[role] = issue(subject, [role], platform, person=person)
        return self._tokens[role]

    async def close(self) -> None:
        for channel in self._channels.values():
            await channel.close()


def described(error: grpc.aio.AioRpcError) -> str:
    """Code and reason, and what its sentences lack."""
    problem = problem_of(error)
    is_chinese = any("\u4e00" <= sign <= "\u9fff" for sign in problem.sentence_zh)
    is_english = problem.metadata.get("what", "no fact") in problem.sentence_zh
    good = problem.sentence.endswith(".") and is_chinese and not is_english
    return f"{problem.code.name} {problem.reason}{'' if good else ' WITHOUT SENTENCES'}"


async def contents(url: str, schemas: Iterable[str]) -> dict[str, tuple[int, int]]:
    """The number of rows of every table, and a hash over them."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        tables = await (await connection.execute(TABLES, (list(schemas),))).fetchall()
        counted = {}
        for schema, table in tables:
            if WRITTEN_AHEAD.fullmatch(f"{schema}.{table}"):
                continue
            question = (
                f"select count(*), coalesce(sum(hashtext(t::text)), 0) from {schema}.{table} t"
            )
            row = await (await connection.execute(question.encode())).fetchone()
            assert row is not None
            counted[f"{schema}.{table}"] = (int(row[0]), int(row[1]))
    return counted


async def settled_contents(url: str, schemas: Iterable[str]) -> dict[str, tuple[int, int]]:
    """The same once nothing changes any more: days are compared some time after the clock was set.

    What follows from it in other services comes later still.
    """
    before = None
    while (counted := await contents(url, schemas)) != before:
        before = counted
        await asyncio.sleep(SETTLED_SECONDS)
    return counted


async def test_no_odd_value_of_any_field_is_taken_or_breaks_anything(
    walked: Walker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def not_kept(_place: str) -> None:
        if not caller().is_service:
            raise NotKept

    monkeypatch.setattr(requests, "failpoint", not_kept)
    monkeypatch.setattr(signatures, "failpoint", not_kept)
    stack = walked.simulated.stack
    before = await settled_contents(stack.settings.database_url, stack.contexts)
    waiting = (
        (service, odd)
        for method in METHODS
        for odd in walk(method, walked.fill(method))
        for service in services_with(method)
    )
    wrong, seen = list[str](), Counter[str]()

    async def send() -> None:
        for service, odd in waiting:
            outcome = await walked.outcome(service, odd)
            seen[outcome] += 1
            is_refused = outcome.startswith("INVALID_ARGUMENT")
            if (
                outcome.split()[0] in FAULTS
                or outcome.endswith("WITHOUT SENTENCES")
                or (odd.nonsense and not is_refused)
            ):
                wrong.append(f"{service}: {odd}: {outcome}")

    await asyncio.gather(*(send() for _ in range(AT_ONCE)))

    if "OIP_WALK" in os.environ:
        print(*sorted(wrong), *seen.most_common(), seen.total(), sep="\n")  # noqa: T201
    assert not wrong, f"{len(wrong)} of {seen.total()}: {wrong[:20]}"
    assert seen.total() > 4_000
    assert await contents(stack.settings.database_url, stack.contexts) == before
