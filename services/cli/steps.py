"""Commands that make one change and show the resource that it returns.

A command names its RPC; arguments and options are the fields of the request, as fields.py reads
them. What a request needs beyond that has a function of its own in the module of the group.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message

from services.cli.apis import OPERATIONS, Api, operations_of
from services.cli.connection import connection_of, new_request_id
from services.cli.fields import as_command, comment, fill_request, options_in, parameters_of
from services.cli.messages import show_message, show_result
from services.cli.operations import require_service
from services.runtime.rpc.access import PLATFORM_ROLES, rule_in
from services.runtime.rpc.roles import role_name

REQUEST_ID = "Id of an earlier attempt whose outcome is not known."
# Roles of persons who act for themselves or their company; a development token has the others.
OUTSIDE_THE_OFFICE = {"platform", "platform_administrator", "service", "specialist", "worker_agent"}

# The full names of the RPCs that a command makes.
RPCS: set[str] = set()


@dataclass(frozen=True)
class Reader:
    """An option whose value becomes the messages of a repeated field: of a file, or of texts."""

    option: str
    text: str
    read: Callable[[Any], Iterable[Message]]
    is_file: bool = False


@dataclass(frozen=True)
class Change:
    """How a command makes an RPC.

    `arguments` are the fields without a dash, `options` other names of options, `parts` the
    messages whose own fields are options, `readers` the options for repeated messages, `fixed` the
    values that the command stands for, `without` the fields that it leaves out, `text` its help in
    place of the RPC's comment.
    """

    arguments: tuple[str, ...] = ("name",)
    options: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[str, ...] = ()
    readers: Mapping[str, Reader] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    text: str = ""

    def parameters(self, message: Any) -> list[inspect.Parameter]:
        """The parameters of the command for a type of request."""
        fields = options_in(message, ("request_id", *self.fixed, *self.without))
        nested = (message.fields_by_name[name].message_type for name in self.parts)
        return [
            *parameters_of(fields, self.arguments, self.options),
            *(one for part in nested for one in parameters_of(options_in(part, ()))),
            *(_reader_option(name, reader) for name, reader in self.readers.items()),
        ]

    def fill(self, request: Any, values: Mapping[str, Any]) -> None:
        """Set the fields of a request; raises Refused for what cannot be read."""
        fill_request(request, {k: v for k, v in values.items() if k not in self.readers})
        for name in self.parts:
            own = request.DESCRIPTOR.fields_by_name[name].message_type.fields_by_name
            given = {name: value for name, value in values.items() if name in own and value}
            if given:
                part = getattr(request, name)
                part.SetInParent()
                fill_request(part, given)
        for name, reader in self.readers.items():
            if values[name]:
                getattr(request, name).extend(reader.read(values[name]))
        for name, value in self.fixed.items():
            setattr(request, name, value)


def add_step(
    app: typer.Typer, verb: str, api: Api[Any], method: str, change: Change | None = None
) -> None:
    """Add a command that makes an RPC of an API; for operations it asks which service."""
    change = change or Change()
    descriptor = _descriptor(api, method)
    RPCS.add(descriptor.full_name)
    parameters = [
        *change.parameters(descriptor.input_type),
        *([_service_option()] if api is OPERATIONS else []),
        *([_request_id_option()] if _is_change(descriptor) else []),
    ]

    def make(context: typer.Context, values: dict[str, Any]) -> None:
        owner = api
        if api is OPERATIONS:
            require_service(connection_of(context), values["service"])
            owner = operations_of(values.pop("service"))
        request: Any = message_factory.GetMessageClass(descriptor.input_type)()
        if _is_change(descriptor):
            request.request_id = new_request_id(verb, values.pop("request_id") or "")
        change.fill(request, values)
        show = show_result if _is_change(descriptor) else show_message
        show(call(context, owner, method, request))

    text = change.text or comment(descriptor.full_name)
    command = as_command(verb.replace("-", "_"), text, parameters, make)
    app.command(verb, short_help=text.partition(". ")[0].rstrip("."))(command)


def _is_change(descriptor: Any) -> bool:
    return "request_id" in descriptor.input_type.fields_by_name


def call(context: typer.Context, api: Api[Any], method: str, request: Any) -> Message:
    """The answer to a request; on a development stack with all roles that may make it."""
    descriptor = _descriptor(api, method)
    rule = rule_in(descriptor)
    assert rule is not None
    roles = [role_name(role) for role in rule.roles]
    office = [role for role in roles if role not in OUTSIDE_THE_OFFICE]
    platform = ""
    if not office and PLATFORM_ROLES.intersection(rule.roles):
        platform = str(getattr(request, "platform", "")).removeprefix("platforms/")
    answer: Message = connection_of(context).call(
        api, lambda stub: getattr(stub, method)(request), *(office or roles), platform=platform
    )
    return answer


def _reader_option(name: str, reader: Reader) -> inspect.Parameter:
    kind: Any = Path if reader.is_file else list[str]
    option = typer.Option(f"--{reader.option}", help=reader.text)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )


def _request_id_option() -> inspect.Parameter:
    """The option with which an earlier attempt is repeated."""
    return inspect.Parameter(
        "request_id",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[str | None, typer.Option("--request-id", help=REQUEST_ID)],
    )


def _service_option() -> inspect.Parameter:
    return inspect.Parameter(
        "service",
        inspect.Parameter.KEYWORD_ONLY,
        annotation=Annotated[str, typer.Option("--service", help="The service that holds it.")],
    )


def _descriptor(api: Api[Any], method: str) -> Any:
    name = str(api.stub.__name__).removesuffix("Stub")
    package = str(api.stub.__module__).rpartition(".")[0]
    return descriptor_pool.Default().FindServiceByName(f"{package}.{name}").methods_by_name[method]
