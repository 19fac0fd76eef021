"""`oip law unconfirmed`, `confirm`, `confirmations`, `revoke`: assumed values of a province."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated

import grpc
import typer
from oip.operations.v1 import operations_pb2

from services.cli.apis import operations_of
from services.cli.connection import (
    Connection,
    Refused,
    all_pages,
    connection_of,
    day_of,
    new_request_id,
    run,
)
from services.cli.error_report import SECOND_SIGNATURE_NEEDED, wait_for_signature
from services.cli.messages import show_messages, show_result
from services.cli.operations import require_service, services_named, stub_of
from services.cli.parameter_readers import ROOT, readers_of
from services.cli.steps import REQUEST_ID
from services.cli.tables import show_rows
from services.cli.values import Value, text_value, truth_value
from services.cli.view import Format, language, say, view
from services.client.channels import Channels, problem_of
from services.kernel.identifiers import is_division, province_of
from services.kernel.law import ParameterVersion, Tag
from services.kernel.lawbook import Law
from services.kernel.parameter_check import parameter_files
from services.kernel.parameters import load
from services.kernel.periods import civil_day
from services.kernel.phrases import Language, Phrase, label
from services.runtime.base.clock import SystemClock
from services.runtime.rpc.access import rule_of
from services.runtime.rpc.roles import role_label
from services.runtime.rpc.wire import date_from_wire, date_to_wire
from services.runtime.service.act_table import rule_on

CONFIRM = "/oip.operations.v1.OperationsService/ConfirmParameters"
States = operations_pb2.AssumedValue
OFFICER = "fund_officer"

OnDay = Annotated[str, typer.Option("--on", metavar="DAY", help="Default: today.")]
RequestId = Annotated[str, typer.Option(help=REQUEST_ID)]
STATE = "oip.operations.v1.AssumedValue.State"
UNCONFIRMED = (
    "file",
    "parameter",
    "value",
    "jurisdiction",
    "since_date",
    "state",
    "in_force",
    "used_by",
)
# The columns of confirmations.
CONFIRMATION = (
    "name",
    "parameter",
    "value",
    "jurisdiction",
    "since_date",
    "document",
    "document_date",
    "maker_member",
    "signer_member",
    "create_time",
    "revoke_reason",
)


@dataclass(frozen=True)
class Row:
    """An assumed value as people see it; `services` read it."""

    services: tuple[str, ...]
    version: ParameterVersion
    state: str
    in_force: bool = True
    act_count: int = 0
    last_act: str = ""

    @property
    def file(self) -> str:
        """Its parameter file."""
        return file_of(self.version.name, self.services)

    @property
    def key(self) -> tuple[str, date, str]:
        """Its place in the list."""
        return self.file, self.version.since, self.version.jurisdiction

    @property
    def used_by(self) -> str:
        """The last act that used it and the number of all, and the rules that read it."""
        more = self.act_count - 1
        others = say(f" and {more} more", f" 及另外 {more} 项") if more > 0 else ""
        acts = f"{self.last_act}{others}; " if self.act_count else ""
        readers = ", ".join(readers_of(self.version.name))
        return acts + (readers or say("nothing reads it yet", "尚无规则读取"))

    @property
    def values(self) -> Mapping[str, Value]:
        """The row for spreadsheets and programs."""
        version = self.version
        texts = {
            "file": self.file,
            "parameter": version.name,
            "value": version.value,
            "jurisdiction": version.jurisdiction,
            "since_date": version.since.isoformat(),
            "state": self.state,
            "used_by": self.used_by,
        }
        shown = {name: text_value(text) for name, text in texts.items()}
        return {**shown, "in_force": truth_value(self.in_force)}


def unconfirmed(
    context: typer.Context,
    where: Annotated[
        str, typer.Option("--in", metavar="PROVINCE", help="Default: that of the services.")
    ] = "",
    on: OnDay = "",
) -> None:
    """List the assumed values in use on a day that the province has not confirmed.

    The services say what they use and what is confirmed. For another province, or if no service
    runs, the parameter files of this installation are read, and nothing counts as confirmed.
    """
    day = day_of(on) if on else civil_day(SystemClock().now())
    if where and (not is_division(where) or province_of(where) != where):
        raise Refused(
            "{where} is not a province; write its division code, such as 440000.",
            "{where} 不是省级行政区; 请填写其区划代码, 如 440000。",
            where=where,
        )
    rows, source = _rows(connection_of(context), where, day)
    waiting = sorted((row for row in rows if row.state != "CONFIRMED"), key=lambda row: row.key)
    if view().format is not Format.TABLE:
        show_rows([row.values for row in waiting], UNCONFIRMED)
        return
    for row in waiting:
        state = label(STATE, row.state).text(language())
        state += "" if row.in_force else say(", of other days", ", 适用于其他日期")
        typer.echo(f"{row.file}: {_shown(row.version)}, {state}")
        typer.echo(f"  {say('used by', '使用者:')} {row.used_by}")
    typer.echo(
        say(
            f"{len(waiting)} assumed values are not confirmed on {day}, {source}.",
            f"{day} 有 {len(waiting)} 个暂定值未经确认, {source}。",
        )
    )
    typer.echo(_who(day))


def confirm(
    context: typer.Context,
    parameters: Annotated[
        list[str], typer.Argument(metavar="PARAMETER...", help="For example set_off_share.")
    ],
    document: Annotated[str, typer.Option(help="Number of the document of the province.")],
    document_date: Annotated[str, typer.Option(metavar="DAY", help="Day of the document.")],
    on: OnDay = "",
) -> None:
    """Confirm the assumed values of parameters, by a document; another person has to sign it.

    All values in force on the day in the province that are not confirmed, in each service that
    reads them.
    """
    day = day_of(on) if on else civil_day(SystemClock().now())
    dated = date_to_wire(day_of(document_date))
    connection = connection_of(context)

    async def call() -> None:
        async with connection.channels(OFFICER) as channels:
            by_service = await _to_confirm(channels, list(connection.addresses), parameters, day)
            for service, values in by_service.items():
                request = operations_pb2.ConfirmParametersRequest(
                    request_id=new_request_id("confirm"),
                    document=document,
                    document_date=dated,
                    values=[
                        operations_pb2.ConfirmParametersRequest.ConfirmedValue(
                            parameter=value.parameter, digest=value.digest
                        )
                        for value in values
                    ],
                )
                for value in values:
                    typer.echo(f"{service}: {_shown(_version(value))}")
                try:
                    await stub_of(channels, service).ConfirmParameters(request)
                except grpc.RpcError as error:
                    if problem_of(error).reason != SECOND_SIGNATURE_NEEDED:
                        raise
                    wait_for_signature(problem_of(error))

    run(call)


def confirmations(
    context: typer.Context,
    service: Annotated[str, typer.Option(help="One service; default: all.")] = "",
    revoked: Annotated[bool, typer.Option(help="Include those that were taken back.")] = False,
) -> None:
    """List the confirmations of assumed values, oldest first."""
    connection = connection_of(context)
    names = services_named(connection, service)

    async def call() -> list[tuple[str, operations_pb2.ParameterConfirmation]]:
        async with connection.channels(OFFICER) as channels:
            return [
                (name, row)
                for name in names
                for row in await _all_confirmations(channels, name, include_revoked=revoked)
            ]

    rows = run(call)
    show_messages(
        [row for _, row in rows],
        CONFIRMATION,
        owners=[name for name, _ in rows],
        nothing=say("No assumed value is confirmed.", "没有已确认的暂定值。"),
    )


def revoke(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="parameterConfirmations/{id}")],
    service: Annotated[str, typer.Option(help="Service that holds it.")],
    reason: Annotated[str, typer.Option(help="Why the province no longer confirms the value.")],
    request_id: RequestId = "",
) -> None:
    """Take a confirmation back; another person has to sign it."""
    connection = connection_of(context)
    require_service(connection, service)
    request = operations_pb2.RevokeParameterConfirmationRequest(
        request_id=new_request_id("revoke", request_id), name=name, reason=reason
    )
    api = operations_of(service)
    show_result(
        connection.call(api, lambda stub: stub.RevokeParameterConfirmation(request), OFFICER)
    )


def file_of(parameter: str, names: Iterable[str]) -> str:
    """The file of a parameter that services read: their own, or the kernel's."""
    folders = [name for name in names if (ROOT / name / f"parameters/{parameter}.toml").exists()]
    return f"{(folders or ['kernel'])[0]}/parameters/{parameter}.toml"


async def list_values(
    channels: Channels, service: str, day: date | None = None
) -> tuple[str, list[operations_pb2.AssumedValue]]:
    """The province of a service and the assumed values that it uses on a day or has used."""
    values: list[operations_pb2.AssumedValue] = []
    request = operations_pb2.ListAssumedValuesRequest(date=date_to_wire(day) if day else None)
    while True:
        answer = await stub_of(channels, service).ListAssumedValues(request)
        values += answer.values
        request.page_token = answer.next_page_token
        if not answer.next_page_token:
            return answer.province, values


def _rows(connection: Connection, where: str, day: date) -> tuple[list[Row], str]:
    """The assumed values, and where they are from."""
    try:
        province, rows = run(lambda: _of_services(connection, day))
    except Refused:
        why = say("as no stack runs", "因未运行任何环境")
    except grpc.RpcError as error:
        if not problem_of(error).is_unreachable:
            raise
        why = say("as no service answers", "因没有服务应答")
    else:
        if where in {"", province}:
            said = say(f"by what the services of {province} say", f"依据 {province} 各服务所报")
            return rows, said
        why = say(f"as the services are those of {province}", f"因各服务属于 {province}")
    place = where or connection.settings.province
    files = say(f"by the files for {place}, {why}", f"依据 {place} 的参数文件, {why}")
    return list(_of_files(place, day)), files


async def _of_services(connection: Connection, day: date) -> tuple[str, list[Row]]:
    readers: dict[bytes, list[str]] = {}
    values: dict[bytes, operations_pb2.AssumedValue] = {}
    province = ""
    async with connection.channels(OFFICER) as channels:
        for service in connection.addresses:
            province, of_service = await list_values(channels, service, day)
            for value in of_service:
                readers.setdefault(value.digest, []).append(service)
                shown = values.setdefault(value.digest, value)
                # A value that several services read is confirmed once each of them says so.
                if shown.state == States.CONFIRMED:
                    values[value.digest] = value
    return province, [
        Row(
            tuple(readers[digest]),
            _version(value),
            States.State.Name(value.state),
            value.in_force,
            value.act_count,
            value.last_act,
        )
        for digest, value in values.items()
    ]


def _of_files(province: str, day: date) -> Iterator[Row]:
    for path in parameter_files(ROOT):
        for value in Law({path.stem: load(path)}).in_force(day, province):
            if value.is_assumed:
                yield Row((path.parent.parent.name,), value.version, "UNCONFIRMED")


async def _to_confirm(
    channels: Channels, names: list[str], parameters: list[str], day: date
) -> dict[str, list[operations_pb2.AssumedValue]]:
    """By service, the values of these parameters that wait for a confirmation."""
    by_service: dict[str, list[operations_pb2.AssumedValue]] = {}
    for service in names:
        _, of_service = await list_values(channels, service, day)
        waiting = [
            value
            for value in of_service
            if value.parameter in parameters and value.in_force and value.state != States.CONFIRMED
        ]
        if waiting:
            by_service[service] = waiting
    named = {value.parameter for values in by_service.values() for value in values}
    if missing := sorted(set(parameters) - named):
        raise Refused(
            "No service has an unconfirmed assumed value of {missing} on {day}; see `oip law "
            "unconfirmed`.",
            "{day} 没有服务使用 {missing} 的未确认暂定值; 请查看 `oip law unconfirmed`。",
            missing=tuple(missing),
            day=day,
        )
    return by_service


async def _all_confirmations(
    channels: Channels, service: str, *, include_revoked: bool
) -> list[operations_pb2.ParameterConfirmation]:
    request = operations_pb2.ListParameterConfirmationsRequest(include_revoked=include_revoked)
    stub = stub_of(channels, service)
    rows: list[operations_pb2.ParameterConfirmation] = await all_pages(
        stub.ListParameterConfirmations, request, "parameter_confirmations"
    )
    return rows


def _version(message: operations_pb2.AssumedValue) -> ParameterVersion:
    return ParameterVersion(
        message.parameter,
        date_from_wire(message.since_date, "since_date"),
        message.jurisdiction,
        message.value,
        "",
        Tag.ASSUMED,
    )


def _shown(version: ParameterVersion) -> str:
    value = version.value or say("nothing", "无")
    since = say(f"from {version.since}", f"自 {version.since}")
    return f"{version.name} = {value} ({version.jurisdiction}, {since})"


def _who(day: date) -> str:
    """Who has to confirm, by the access option of the method and the table of acts."""
    access = rule_of(CONFIRM)
    roles = [role_label(role) for role in access.roles] if access else []
    rule = rule_on(access.act, day) if access else None
    signers = signers_zh = ""
    if rule:
        signers = f", signed by {_any_of(rule.role_labels, Language.EN)} who is another person"
        signers_zh = f", 并由另一名{_any_of(rule.role_labels, Language.ZH)}复核签批"
    return say(
        f"Each has to be confirmed for the province by {_any_of(roles, Language.EN)}{signers}.",
        f"每一项均须由{_any_of(roles, Language.ZH)}代表本省确认{signers_zh}。",
    )


def _any_of(roles: Iterable[Phrase], language: Language) -> str:
    """`a fund_officer or an approver`, 基金管理人员或审批人员."""
    titles = [role.text(language) for role in roles]
    return "或".join(titles) if language is Language.ZH else "a " + " or a ".join(titles)
