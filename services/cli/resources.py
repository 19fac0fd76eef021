"""`oip <resource> list` and `show`: one command for each List and Get RPC, from its descriptor.

Filters and paging come from the request's fields, columns from the resource's; help from the
comments of the protos. What a command of its own shows better is in SHOWN_ELSEWHERE.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import grpc
import typer
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message
from oip.type.v1 import type_pb2

from services.cli.connection import Connection, connection_of, run
from services.cli.fields import (
    PAGING,
    as_command,
    comment,
    fill_request,
    first_sentence,
    is_required,
    options_in,
    parameters_of,
)
from services.cli.messages import in_language, show_message, show_messages
from services.cli.operations import services_named
from services.cli.refusals import Refused
from services.cli.view import say
from services.client.channels import Channels, problem_of
from services.runtime.rpc.access import rule_in
from services.runtime.rpc.message_fields import Field
from services.runtime.rpc.roles import role_name

OPERATIONS = "oip.operations.v1.OperationsService"
APIS = (
    "oip.benefits.v1.BenefitService",
    "oip.claims.v1.AccidentService",
    "oip.claims.v1.ClaimService",
    "oip.enrolment.v1.EnrolmentService",
    "oip.fund.v1.FundService",
    "oip.grading.v1.GradingService",
    OPERATIONS,
    "oip.orders.v1.OrderService",
    "oip.premiums.v1.PremiumService",
    "oip.staff.v1.StaffService",
)
STUB_MODULES = {
    "oip.claims.v1.AccidentService": "accidents",
}
# RPCs that another command shows: it compares, verifies or writes what they return.
SHOWN_ELSEWHERE = {
    "oip.benefits.v1.BenefitService.ListProvisionalAwards": "oip awards provisional",
    "oip.benefits.v1.BenefitService.ListTrueUps": "oip awards trued-up",
    "oip.operations.v1.OperationsService.GetDataKeys": "oip keys show",
    "oip.operations.v1.OperationsService.GetDelivery": "oip delivery",
    "oip.operations.v1.OperationsService.GetHealth": "oip health",
    "oip.operations.v1.OperationsService.GetReconciliation": "oip restore show",
    "oip.operations.v1.OperationsService.ListAssumedValues": "oip law unconfirmed",
    "oip.operations.v1.OperationsService.ListParameterConfirmations": "oip law confirmations",
    "oip.orders.v1.OrderService.GetLogConsistency": "oip evidence consistency",
    "oip.orders.v1.OrderService.GetOrderArchive": "oip orders archive",
    "oip.orders.v1.OrderService.GetOrderProof": "oip evidence prove",
    "oip.staff.v1.StaffService.GetOwnStaffMember": "oip staff me",
}
# Groups of commands that have a shorter name than their resource, or one of its own.
GROUPS = {
    "advance-term": "advance-terms",
    "event-alarms": "alarms",
    "history": "history",
    "evidence": "evidence",
    "impairment-items": "items",
    "ledger-transactions": "ledger",
    "life-events": "lives",
    "pending-acts": "acts",
    "premium-bills": "bills",
    "premium-receipts": "receipts",
    "premium-standings": "premium-standing",
    "premium-terms": "terms",
    "settlement-periods": "settlement",
    "staff-members": "staff",
    "trial-balances": "trial-balance",
}
# The columns of a table; without a row here all values of the resource.
COLUMNS = {
    "accidents": ("name", "worker", "accident_time", "place_of_injury", "claim"),
    "acts": ("name", "title", "title_zh", "sum_fen", "maker_member", "state", "expire_time"),
    "alarms": ("name", "subject", "create_time", "resolution"),
    "appraisals": ("name", "claim", "level", "state", "due_date", "grade", "revision"),
    "awards": ("name", "kind", "amount_fen", "state", "beneficiary", "claim"),
    "bills": ("name", "state", "premium_fen", "received_fen", "due_date"),
    "claims": ("name", "state", "due_date", "remaining_days", "worker", "accident_time"),
    "dead-letters": ("name", "error", "create_time", "resolve_time", "dismissal"),
    "erasures": (
        "worker",
        "code",
        "document_number",
        "document_hash",
        "maker_member",
        "signer_member",
        "erase_time",
    ),
    "filings": ("name", "state", "claim", "claimant_kind", "accident_time", "open"),
    "items": ("number", "grade", "label", "label_zh", "kind", "regions", "family"),
    "ledger": ("name", "pooling_area", "month", "accounting_date", "source", "text"),
    "lives": ("name", "state", "day", "cause", "reason", "member"),
    "lost-events": ("name", "subject", "summary", "holders", "blocks", "resolution", "reason"),
    "order-batches": ("name", "received_count", "created_count", "rejected_count", "create_time"),
    "platforms": ("name", "display_name", "industries"),
    "receipts": ("name", "bill", "receipt_date", "amount_fen", "bank_reference", "reverses"),
    "recoveries": ("name", "award", "beneficiary", "amount_fen", "reason"),
    "settlement": ("name", "state", "proposer", "approver", "close_time"),
    "staff": ("name", "display_name"),
}
ROWS_SHOWN = 1000
COUNT_ALL = "count_all"
# Roles of persons who act for themselves or their company; a development token has the others.
OUTSIDE_THE_OFFICE = {
    type_pb2.Access.PLATFORM,
    type_pb2.Access.PLATFORM_ADMINISTRATOR,
    type_pb2.Access.SERVICE,
    type_pb2.Access.SPECIALIST,
    type_pb2.Access.WORKER_AGENT,
}

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Method:
    """A List or a Get RPC, and the command that stands for it."""

    descriptor: Any
    group: str
    verb: str

    @property
    def full_name(self) -> str:
        """The name of the RPC in the protos."""
        return str(self.descriptor.full_name)

    @property
    def is_of_every_service(self) -> bool:
        """Whether each service answers for itself."""
        return bool(self.descriptor.containing_service.full_name == OPERATIONS)

    @property
    def rows_field(self) -> Field:
        """The field of a page that holds its rows."""
        return next(
            field
            for field in self.descriptor.output_type.fields
            if field.is_repeated and field.message_type is not None
        )

    @property
    def roles(self) -> list[str]:
        """The roles of a development token."""
        rule = rule_in(self.descriptor)
        assert rule is not None
        return [role_name(role) for role in rule.roles if role not in OUTSIDE_THE_OFFICE]

    def new_request(self, values: Values) -> Message:
        """The request with these values."""
        request = message_factory.GetMessageClass(self.descriptor.input_type)()
        fill_request(request, values)
        return request

    async def call(self, channels: Channels, service: str, request: Message) -> Message:
        """The answer of a service."""
        api = self.descriptor.containing_service
        module = STUB_MODULES.get(api.full_name) or str(api.full_name).split(".")[1]
        package = str(api.file.package)
        stub = getattr(import_module(f"{package}.{module}_pb2_grpc"), f"{api.name}Stub")
        call = getattr(channels.stub(stub, service), self.descriptor.name)
        answer: Message = await call(request)
        return answer


def methods() -> Iterator[Method]:
    """All List and Get RPCs that have a command here."""
    for name in APIS:
        import_module(f"{name.rpartition('.')[0]}.{STUB_MODULES.get(name, name.split('.')[1])}_pb2")
        for method in descriptor_pool.Default().FindServiceByName(name).methods:
            yield from _as_method(method)


def _as_method(method: Any) -> Iterator[Method]:
    match = re.match(r"(List|Get)([A-Z]\w*)", method.name)
    if match is None or method.full_name in SHOWN_ELSEWHERE or _is_for_services(method):
        return
    kebab = re.sub(r"(?<!^)(?=[A-Z])", "-", match[2]).lower()
    group = kebab if match[1] == "List" else _plural(kebab)
    yield Method(method, GROUPS.get(group, group), "list" if match[1] == "List" else "show")


def _is_for_services(method: Any) -> bool:
    """Whether services alone may call it."""
    rule = rule_in(method)
    return rule is not None and list(rule.roles) == [type_pb2.Access.SERVICE]


def _plural(kebab: str) -> str:
    if kebab.endswith(("s", "evidence")):
        return kebab
    if kebab.endswith("y"):
        return f"{kebab[:-1]}ies"
    return f"{kebab}es" if kebab.endswith("ch") else f"{kebab}s"


def add_to(app: typer.Typer, groups: Mapping[str, typer.Typer]) -> None:
    """Add the commands to the groups that exist, and new groups to the program."""
    known = dict(groups)
    for method in methods():
        if method.group not in known:
            known[method.group] = typer.Typer(no_args_is_help=True, help=_group_help(method))
            app.add_typer(known[method.group], name=method.group)
        command = _list_command(method) if method.verb == "list" else _show_command(method)
        short = first_sentence(method.full_name).rstrip(".")
        known[method.group].command(method.verb, short_help=short)(command)


def _group_help(method: Method) -> str:
    is_list = method.verb == "list"
    resource = method.rows_field.message_type if is_list else method.descriptor.output_type
    return first_sentence(resource.full_name)


def _list_command(method: Method) -> Any:
    fields = list(options_in(method.descriptor.input_type, (*PAGING, COUNT_ALL)))
    limit = _option("limit", int, ROWS_SHOWN, "At most this many rows; 0 for all.", least=0)
    columns = _option("columns", str | None, None, "Fields of the resource, by commas.")
    arguments = [field.name for field in fields if is_required(field)]
    parameters = [*parameters_of(fields, arguments), *_service_option(method), limit, columns]
    return as_command("list_", comment(method.full_name), parameters, _Listing(method).show)


def _show_command(method: Method) -> Any:
    fields = list(options_in(method.descriptor.input_type))
    arguments = [field.name for field in fields[:1] if field.message_type is None]
    parameters = [*parameters_of(fields, arguments), *_service_option(method)]

    def show(context: typer.Context, values: dict[str, Any]) -> None:
        connection = connection_of(context)
        asked = [method.full_name.split(".")[1]]
        if method.is_of_every_service:
            asked = services_named(connection, values.pop("service") or "")
        request = method.new_request(values)
        show_message(run(lambda: _first_answer(connection, method, asked, request)))

    return as_command("show", comment(method.full_name), parameters, show)


async def _first_answer(
    connection: Connection, method: Method, services: list[str], request: Message
) -> Message:
    """The answer of the first service that holds the resource."""
    async with connection.channels(*method.roles) as channels:
        for service in services[:-1]:
            try:
                return await method.call(channels, service, request)
            except grpc.RpcError as error:
                if problem_of(error).reason != "NOT_FOUND":
                    raise
        return await method.call(channels, services[-1], request)


class _Listing:
    """The command `list` of a resource."""

    def __init__(self, method: Method) -> None:
        self._method = method
        # The rows of all pages, where the list counts them.
        self._total = 0

    def show(self, context: typer.Context, values: dict[str, Any]) -> None:
        """Print the rows, and say on stderr if there are more."""
        limit, columns = values.pop("limit"), self._columns(values.pop("columns"))
        connection, method = connection_of(context), self._method
        asked = [method.full_name.split(".")[1]]
        if method.is_of_every_service:
            asked = services_named(connection, values.pop("service") or "")
        rows, has_more = run(lambda: self._rows(connection, asked, values, limit))
        owners = [service for service, _ in rows] if method.is_of_every_service else []
        show_messages([row for _, row in rows], columns, owners=owners)
        if has_more:
            count = f"{self._total:,}" if self._total else ""
            typer.echo(
                say(
                    f"These are the first {limit:,}{f' of {count}' * bool(count)}; "
                    "--limit 0 shows all.",
                    f"以上为{f'共 {count} 条中的' * bool(count)}前 {limit:,} 条; "
                    "--limit 0 显示全部。",
                ),
                err=True,
            )

    def _columns(self, text: str | None) -> tuple[str, ...]:
        if not text:
            return in_language(COLUMNS.get(self._method.group, ()))
        names = tuple(part.strip() for part in text.split(","))
        known = self._method.rows_field.message_type.fields_by_name
        unknown = [name for name in names if name not in known]
        if unknown:
            raise Refused(
                "There is no field {name}; the fields are {fields}.",
                "没有字段 {name}; 可选字段: {fields}。",
                name=unknown[0],
                fields=tuple(known),
            )
        return names

    async def _rows(
        self, connection: Connection, services: list[str], values: Values, limit: int
    ) -> tuple[list[tuple[str, Message]], bool]:
        """The rows with their services, and whether there are more than the limit."""
        rows: list[tuple[str, Message]] = []
        async with connection.channels(*self._method.roles) as channels:
            for service in services:
                async for row in self._pages(channels, service, values, limit):
                    if limit and len(rows) == limit:
                        return rows, True
                    rows.append((service, row))
        return rows, False

    async def _pages(
        self, channels: Channels, service: str, values: Values, limit: int
    ) -> AsyncIterator[Message]:
        request: Any = self._method.new_request(values)
        is_paged = all(name in request.DESCRIPTOR.fields_by_name for name in PAGING)
        if "page_size" in request.DESCRIPTOR.fields_by_name:
            request.page_size = min(limit + 1, ROWS_SHOWN) if limit else ROWS_SHOWN
        if COUNT_ALL in request.DESCRIPTOR.fields_by_name:
            request.count_all = bool(limit)
        while True:
            page: Any = await self._method.call(channels, service, request)
            self._total = getattr(page, "total_count", 0) or self._total
            for row in getattr(page, self._method.rows_field.name):
                yield row
            if not is_paged or not page.next_page_token:
                return
            request.page_token = page.next_page_token


def _service_option(method: Method) -> list[inspect.Parameter]:
    if not method.is_of_every_service:
        return []
    return [_option("service", str | None, None, "Only this service; default: all.")]


def _option(
    name: str, kind: Any, default: Any, text: str, *, least: int | None = None
) -> inspect.Parameter:
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind, typer.Option(f"--{name}", help=text, min=least)],
    )
