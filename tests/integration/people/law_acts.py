"""How assumed values are confirmed and confirmations taken back, and what disturbs that."""

from __future__ import annotations

from datetime import date

from oip.operations.v1 import operations_pb2

from services.runtime.rpc.wire import date_to_wire
from tests.integration.people.made import MAKER, Call, Made
from tests.support.stack_client import StackClient

# It has more assumed values than any test needs, and no act here waits for their confirmation.
SERVICE = "claims"


async def values(client: StackClient) -> list[operations_pb2.AssumedValue]:
    answer = await client.operations(SERVICE, "fund_officer").ListAssumedValues(
        operations_pb2.ListAssumedValuesRequest(page_size=1000)
    )
    return list(answer.values)


def confirming(client: StackClient, subject: str, value: operations_pb2.AssumedValue) -> Call:
    named = operations_pb2.ConfirmParametersRequest.ConfirmedValue(
        parameter=value.parameter, digest=value.digest
    )
    request = operations_pb2.ConfirmParametersRequest(
        request_id=client.new_id(),
        values=[named],
        document="No 1 of 2025",
        document_date=date_to_wire(date(2025, 11, 1)),
    )
    stub = client.operations(SERVICE, "fund_officer", subject=subject)
    return lambda: stub.ConfirmParameters(request)


def revoking(client: StackClient, subject: str, name: str) -> Call:
    request = operations_pb2.RevokeParameterConfirmationRequest(
        request_id=client.new_id(), name=name, reason="decided otherwise"
    )
    stub = client.operations(SERVICE, "fund_officer", subject=subject)
    return lambda: stub.RevokeParameterConfirmation(request)


async def unconfirmed(client: StackClient, number: int) -> operations_pb2.AssumedValue:
    """A value that nobody has confirmed, whatever tests before have done."""
    listed = await values(client)
    value = listed[number % len(listed)]
    if value.confirmation:
        await revoking(client, "test", value.confirmation)()
    return value


async def confirm(client: StackClient, number: int) -> Made:
    value = await unconfirmed(client, number)
    return Made(SERVICE, confirming(client, MAKER, value), confirming(client, "test", value))


async def revoke(client: StackClient, number: int) -> Made:
    answer = await confirming(client, "test", await unconfirmed(client, number))()
    name = answer.parameter_confirmations[0].name
    return Made(SERVICE, revoking(client, MAKER, name), revoking(client, "test", name))
