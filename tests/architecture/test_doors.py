"""What is built can be reached: events have consumers, RPCs have entrances, reasons are readable.

An RPC that no page and no command calls does not exist for its users. What waits for its entrance
stands in docs/not-wired.toml, and only there. Rules have their own test, in tests/wired.
"""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path

import oip
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor, MethodDescriptor

from services.__main__ import all_services
from services.kernel.parameter_check import parameter_files

ROOT = Path(__file__).resolve().parents[2]
WAITING = tomllib.loads((ROOT / "docs/not-wired.toml").read_text(encoding="utf-8"))
ENTRANCES = ("cli", "console", "client")
REMARKS = ("reason", "note")

# A remark of a request, and where the same words can be read again.
READ_BACK = {
    "oip.operations.v1.DismissDeadLetterRequest.reason": "oip.operations.v1.DeadLetter.dismissal",
    "oip.premiums.v1.AssignExperienceBandRequest.reason": "oip.premiums.v1.PremiumTerm.reason",
    "oip.premiums.v1.AssignPremiumBaseRequest.reason": "oip.premiums.v1.PremiumTerm.reason",
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
        message.DESCRIPTOR.full_name for service in all_services() for message in service.handlers
    }

    compare(events - consumed, "events", "an event that nobody consumes changes nothing: add one")


def test_every_rpc_has_an_entrance_for_people() -> None:
    paths = [
        *(path for folder in ENTRANCES for path in (ROOT / "services" / folder).rglob("*.py")),
        ROOT / "services/runtime/service/delivery.py",  # called by `oip verify`
    ]
    source = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    unreachable = {
        method.full_name for method in methods() if not re.search(rf"\.{method.name}\b", source)
    }

    compare(unreachable, "rpcs", "an RPC without a command or a page does not exist: add one")


def test_every_parameter_is_read_by_code() -> None:
    source = "\n".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "services").rglob("*.py")
    )
    # Names that a rule completes: "premium_base_{}".
    begun = tuple(re.findall(r'"(\w+_)\{', source))
    unread = {
        path.stem
        for path in parameter_files(ROOT / "services")
        if not path.stem.startswith(begun) and f'"{path.stem}"' not in source
    }

    compare(unread, "parameters", "a parameter that no rule reads is no law: read it")


def test_every_remark_of_a_request_can_be_read_back() -> None:
    remarks = {
        field.full_name: field
        for method in methods()
        for field in method.input_type.fields
        if field.name in REMARKS and field.type == FieldDescriptor.TYPE_STRING
    }

    compare(set(remarks) - set(READ_BACK), "fields", "whoever may know the reason must find it")


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
