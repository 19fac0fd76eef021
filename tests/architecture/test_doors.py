"""What is built can be reached: events have consumers, RPCs have entrances, reasons are readable.

An RPC that no page and no command calls does not exist for its users. What waits for its entrance
stands in docs/not-wired.toml, and only there. Rules have their own test, in tests/wired.
"""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from pathlib import Path

import oip
import pytest
import typer
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor, MethodDescriptor
from oip.type.v1 import type_pb2

from services.__main__ import all_services
from services.cli import main, resources, steps
from services.kernel.parameter_check import parameter_files
from services.runtime.rpc.access import rule_in

ROOT = Path(__file__).resolve().parents[2]
WAITING = tomllib.loads((ROOT / "docs/not-wired.toml").read_text(encoding="utf-8"))
ENTRANCES = ("cli", "console", "client")
REMARKS = ("reason", "note")

# A remark of a request, and where the same words can be read again.
READ_BACK = {
    "oip.claims.v1.AnswerFilingRequest.reason": "oip.claims.v1.Filing.Answer.reason",
    "oip.claims.v1.ContestFilingRequest.reason": "oip.claims.v1.Filing.Contest.reason",
    # An answer on the filing that was merged.
    "oip.claims.v1.MergeClaimsRequest.reason": "oip.claims.v1.Filing.Answer.reason",
    # With the finding of its question.
    "oip.claims.v1.DetermineClaimRequest.Judgement.reason": "oip.type.v1.Finding.outputs",
    "oip.orders.v1.OrderRow.reason": "oip.orders.v1.OrderRow.reason",
    "oip.operations.v1.BeginEpochRequest.reason": "oip.operations.v1.Epoch.reason",
    "oip.operations.v1.ResolveLostEventsRequest.reason": "oip.operations.v1.LostEvent.reason",
    "oip.operations.v1.DismissDeadLetterRequest.reason": "oip.operations.v1.DeadLetter.dismissal",
    "oip.operations.v1.RevokeParameterConfirmationRequest.reason": (
        "oip.operations.v1.ParameterConfirmation.revoke_reason"
    ),
    "oip.operations.v1.WithdrawActRequest.reason": "oip.operations.v1.PendingAct.withdraw_reason",
    "oip.benefits.v1.RecordLifeEventRequest.reason": "oip.benefits.v1.LifeEvent.reason",
    "oip.grading.v1.AdjournAppraisalRequest.reason": "oip.grading.v1.Appraisal.Note.text",
    "oip.grading.v1.CorrectConclusionRequest.reason": "oip.grading.v1.Appraisal.Note.text",
    "oip.grading.v1.DeferAppraisalRequest.reason": "oip.grading.v1.Appraisal.Note.text",
    "oip.grading.v1.ExtendAppraisalRequest.reason": "oip.grading.v1.Appraisal.Note.text",
    "oip.grading.v1.RecuseSpecialistRequest.reason": "oip.grading.v1.Appraisal.Note.text",
    "oip.grading.v1.ResumeAppraisalRequest.reason": "oip.grading.v1.Appraisal.Note.text",
    "oip.grading.v1.RevokeConclusionRequest.reason": "oip.grading.v1.Appraisal.Note.text",
    "oip.grading.v1.WithdrawAppraisalRequest.reason": "oip.grading.v1.Appraisal.Note.text",
    "oip.benefits.v1.ReverseExpenseRequest.reason": "oip.benefits.v1.Award.Reversal.reason",
    "oip.benefits.v1.SuspendAwardRequest.reason": "oip.benefits.v1.Award.Suspension.reason",
    # With the request of the act that two persons made.
    "oip.fund.v1.ReverseDisbursementRequest.reason": "oip.operations.v1.PendingAct.request_json",
    "oip.premiums.v1.ReversePremiumReceiptRequest.reason": (
        "oip.premiums.v1.PremiumReceipt.reversal_reason"
    ),
    "oip.premiums.v1.AssignExperienceBandRequest.reason": "oip.premiums.v1.PremiumTerm.reason",
    "oip.premiums.v1.AssignPremiumBaseRequest.reason": "oip.premiums.v1.PremiumTerm.reason",
    "oip.staff.v1.RevokeRoleRequest.note": "oip.staff.v1.RoleGrant.revocation_note",
}


def files() -> list[FileDescriptor]:
    package = Path(next(iter(oip.__path__)))
    pool = descriptor_pool.Default()
    names = []
    for path in sorted(package.rglob("*_pb2.py")):
        module = path.relative_to(package.parent).with_suffix("")
        importlib.import_module(".".join(module.parts))
        names.append(str(module).removesuffix("_pb2") + ".proto")
    return [pool.FindFileByName(name) for name in names]


def methods() -> list[MethodDescriptor]:
    return [
        method
        for file in files()
        for service in file.services_by_name.values()
        for method in service.methods
    ]


def compare(missing: set[str], section: str, advice: str) -> None:
    """Fail for what is missing and not listed, and for what is listed and not missing."""
    listed = set(WAITING[section])
    assert sorted(missing - listed) == [], f"{advice}, or name it in docs/not-wired.toml"
    assert sorted(listed - missing) == [], "it has an entrance now, or is gone: take it off"
    assert all(WAITING[section].values()), "say what it waits for"


def test_a_rule_in_sql_names_the_test_that_holds_it_to_its_specification() -> None:
    modules = {
        rule: (ROOT / path).read_text(encoding="utf-8")
        for rule, path in WAITING["specifications"].items()
    }
    unnamed = [rule for rule, text in modules.items() if rule.split(".")[0] not in text]

    assert modules
    assert unnamed == []


def test_every_event_has_a_consumer() -> None:
    events = {
        message.full_name
        for file in files()
        if file.name.endswith("/events.proto")
        for message in file.message_types_by_name.values()
    }
    consumed = {
        message.DESCRIPTOR.full_name for service in all_services() for message in service.consumed
    }

    compare(events - consumed, "events", "an event that nobody consumes changes nothing: add one")


def is_between_services(method: MethodDescriptor) -> bool:
    """Whether no person may call it, so that no command can."""
    rule = rule_in(method)
    return rule is not None and set(rule.roles) == {type_pb2.Access.SERVICE}


def test_every_rpc_has_an_entrance_for_people() -> None:
    """A call of a stub's method, not the name of the RPC in a text or a comment.

    A command that shows or lists a resource, or makes one change, names its RPC instead
    (services/cli/resources.py, steps.py). What services alone may call has no entrance for people.
    """
    paths = [
        *(path for folder in ENTRANCES for path in (ROOT / "services" / folder).rglob("*.py")),
        ROOT / "services/runtime/service/delivery.py",  # called by `oip verify`
        ROOT / "services/runtime/service/restoration.py",  # called by `oip restore show`
    ]
    called = {
        node.func.attr
        for path in paths
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    called |= {
        node.attr
        for path in paths
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "stub"
    }
    commands = steps.RPCS | {method.full_name for method in resources.methods()}
    unreachable = {
        method.full_name
        for method in methods()
        if method.name not in called
        and method.full_name not in commands
        and not is_between_services(method)
    }

    assert unreachable == set(), "an RPC without a command does not exist: add one"


@pytest.mark.parametrize("method", list(resources.methods()), ids=lambda method: method.full_name)
def test_every_list_and_get_has_its_command(method: resources.Method) -> None:
    group = typer.main.get_command(main.app).commands[method.group]  # type: ignore[attr-defined]

    assert method.verb in group.commands


def test_a_list_or_get_without_a_command_of_the_resource_is_shown_by_another() -> None:
    generated = {method.full_name for method in resources.methods()}
    others = {
        method.full_name
        for method in methods()
        if method.name.startswith(("List", "Get"))
        and method.full_name not in generated
        and not is_between_services(method)
    }
    commands = {command.split()[1] for command in resources.SHOWN_ELSEWHERE.values()}

    assert others == set(resources.SHOWN_ELSEWHERE)
    assert commands <= set(typer.main.get_command(main.app).commands)  # type: ignore[attr-defined]


def test_every_parameter_is_read_by_code() -> None:
    """What only rules without an entrance read is read by nobody."""
    source = "\n".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "services").rglob("*.py")
    )
    # Names that a rule completes: "premium_base_{}".
    begun = tuple(re.findall(r'"(\w+_)\{', source))
    readers = parameter_readers({path.stem for path in parameter_files(ROOT / "services")})
    unread = {
        parameter
        for parameter, functions in readers.items()
        if not parameter.startswith(begun) and functions <= set(WAITING["rules"])
    }

    compare(unread, "parameters", "a parameter that no applied rule reads is no law: read it")


def parameter_readers(parameters: set[str]) -> dict[str, set[str]]:
    """The functions in which the name of a parameter stands: `premiums.domain.fines.fine`.

    A private function stands for those of its module that name it; a constant for its module.
    """
    readers: dict[str, set[str]] = {parameter: set() for parameter in parameters}
    for path in (ROOT / "services").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT / "services").with_suffix("").parts)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for statement in tree.body:
            # A call at the top of a module loads parameters, and applies none.
            if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
                continue
            named = {node.value for node in ast.walk(statement) if isinstance(node, ast.Constant)}
            for parameter in parameters & {text for text in named if isinstance(text, str)}:
                users = _users(getattr(statement, "name", ""), tree)
                readers[parameter] |= {f"{module}.{user}" for user in users}
    return readers


def _users(name: str, tree: ast.Module) -> set[str]:
    """A public definition itself; for a private one, the public ones that lead to it."""
    waiting, seen, users = {name}, set[str](), set[str]()
    while waiting:
        part = waiting.pop()
        seen.add(part)
        if not part.startswith("_"):
            users.add(part)
            continue
        for statement in tree.body:
            names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
            if part in names:
                waiting |= {getattr(statement, "name", "")} - seen
    return users


def test_every_remark_of_a_request_can_be_read_back() -> None:
    parts = {part for method in methods() for part in _messages(method.input_type)}
    pool = descriptor_pool.Default()
    remarks = {
        field.full_name
        for part in parts
        for field in pool.FindMessageTypeByName(part).fields
        if field.name in REMARKS and field.type == FieldDescriptor.TYPE_STRING
    }

    compare(remarks - set(READ_BACK), "fields", "whoever may know the reason must find it")
    assert sorted(set(READ_BACK) - remarks) == [], "no request has it any more: take it off"


@pytest.mark.parametrize("remark", sorted(READ_BACK))
def test_the_place_of_a_remark_is_in_an_answer(remark: str) -> None:
    message, _, name = READ_BACK[remark].rpartition(".")
    readable = {
        part
        for method in methods()
        if method.name.startswith(("Get", "List"))
        for part in _messages(method.output_type)
    }

    assert message in readable
    assert name in descriptor_pool.Default().FindMessageTypeByName(message).fields_by_name


def _messages(message: Descriptor) -> set[str]:
    """A message and all that it is made of."""
    waiting, seen = [message], set[str]()
    while waiting:
        part = waiting.pop()
        if part.full_name not in seen:
            seen.add(part.full_name)
            waiting += [field.message_type for field in part.fields if field.message_type]
    return seen
