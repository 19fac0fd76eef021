"""Assumed values of a running service: which there are, and their confirmation by two persons."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import psycopg
from oip.operations.v1 import operations_pb2 as ops
from psycopg import sql

from services.runtime.rpc.client import RemoteProblem
from services.runtime.rpc.wire import date_to_wire
from tests.support.stack_client import StackClient

DOCUMENT = "粤人社函〔2025〕1号"


async def assumed(
    client: StackClient, service: str, place: str = "CN"
) -> dict[str, ops.AssumedValue]:
    """The assumed values of a place that a service uses today, by parameter."""
    answer = await client.operations(service, "fund_officer").ListAssumedValues(
        ops.ListAssumedValuesRequest(page_size=1000)
    )
    assert answer.province == "440000"
    return {
        value.parameter: value
        for value in answer.values
        if value.jurisdiction == place and value.in_force
    }


async def confirm_values(
    client: StackClient, service: str, values: Iterable[ops.AssumedValue], **fields: Any
) -> ops.ConfirmParametersResponse:
    """Confirm values as `li`; the client signs as another person, unless it does not sign."""
    defaults = {"document": DOCUMENT, "document_date": date_to_wire(date(2025, 7, 1))}
    request = ops.ConfirmParametersRequest(
        request_id=client.new_id(),
        values=[
            ops.ConfirmParametersRequest.ConfirmedValue(
                parameter=value.parameter, digest=value.digest
            )
            for value in values
        ],
        **{**defaults, **fields},
    )
    stub = client.operations(service, "fund_officer", subject="li")
    return await stub.ConfirmParameters(request)


async def confirm(
    client: StackClient, service: str, names: Iterable[str]
) -> ops.ConfirmParametersResponse:
    """Confirm the national values of parameters."""
    values = await assumed(client, service)
    return await confirm_values(client, service, [values[name] for name in sorted(names)])


def unconfirmed_in(problem: RemoteProblem) -> set[str]:
    """The parameters that a refusal names."""
    assert problem.reason == "VALUES_NOT_CONFIRMED", problem
    return set(problem.metadata["parameters"].split(", "))


async def tamper(client: StackClient, service: str, *statements: str) -> None:
    """Change rows as the owner of the database can, past every trigger and reference."""
    url = client.stack.settings.database_url
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute(sql.SQL("set search_path to {}").format(sql.Identifier(service)))
        await connection.execute("set session_replication_role = replica")
        for statement in statements:
            await connection.execute(statement.encode())
