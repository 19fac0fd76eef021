"""`oip status`: who calls, and where the services are, what they lack and what waits."""

from __future__ import annotations

import asyncio

import grpc
import typer
from oip.operations.v1 import operations_pb2
from oip.staff.v1 import staff_pb2, staff_pb2_grpc

from services.cli.connection import EXIT_UNREACHABLE, Connection, connection_of, run
from services.cli.operations import stub_of
from services.cli.tables import Row, show_rows
from services.cli.values import NOTHING, count_value, text_value, truth_value
from services.cli.view import Format, say, view
from services.client.channels import Channels, problem_of
from services.kernel.phrases import Language, shown
from services.runtime.rpc.roles import role_label, role_name

ANSWER_SECONDS = 5.0
COLUMNS = (
    "service",
    "address",
    "answers_calls",
    "delivers_events",
    "published_count",
    "dead_letter_count",
    "alarm_count",
)


def status(context: typer.Context) -> None:
    """Show as whom you call, and each service with its address. Exit code 3 if one is silent."""
    connection = connection_of(context)
    caller, rows = run(lambda: _status(connection))
    if caller and view().format is Format.TABLE:
        typer.echo(caller)
    show_rows(rows, COLUMNS)
    if any(row["answers_calls"].raw is False for row in rows):
        raise typer.Exit(EXIT_UNREACHABLE)


async def _status(connection: Connection) -> tuple[str, list[Row]]:
    addresses = connection.addresses
    async with connection.channels("administrator") as channels:
        caller = await _caller(channels)
        rows = await asyncio.gather(
            *(_row(channels, service, address) for service, address in addresses.items())
        )
    return caller, list(rows)


async def _caller(channels: Channels) -> str:
    """The person of the register who calls; empty if there is none or the register is silent."""
    stub = channels.stub(staff_pb2_grpc.StaffServiceStub, "staff")
    try:
        request = staff_pb2.GetOwnStaffMemberRequest()
        member = await stub.GetOwnStaffMember(request, timeout=ANSWER_SECONDS)
    except grpc.RpcError:
        return ""
    return sentence_of_caller(member)


def sentence_of_caller(member: staff_pb2.StaffMember) -> str:
    """Who calls, with each of the roles once: a person may have one for several platforms."""
    held = {grant.role for grant in member.grants if not grant.revocation_code}
    roles = tuple(role_label(role) for role in sorted(held, key=role_name))
    return say(
        f"You are {member.name} ({member.display_name}): {shown(roles, Language.EN)}.",
        f"当前人员: {member.name} ({member.display_name}): {shown(roles, Language.ZH)}。",
    )


async def _row(channels: Channels, service: str, address: str) -> Row:
    row = {"service": text_value(service), "address": text_value(address)}
    stub = stub_of(channels, service)
    try:
        health = await stub.GetHealth(operations_pb2.GetHealthRequest(), timeout=ANSWER_SECONDS)
        delivery = await stub.GetDelivery(
            operations_pb2.GetDeliveryRequest(), timeout=ANSWER_SECONDS
        )
    except grpc.RpcError as error:
        if not problem_of(error).is_unreachable:
            raise
        return {**row, "answers_calls": truth_value(False), "delivers_events": NOTHING}
    areas = {fault.area for fault in health.faults}
    return {
        **row,
        "answers_calls": truth_value("readiness" not in areas),
        "delivers_events": truth_value(not areas),
        "published_count": count_value(delivery.published_seq),
        "dead_letter_count": count_value(delivery.open_dead_letter_count),
        "alarm_count": count_value(delivery.open_alarm_count),
    }
