"""Write what follows from code and data: pages, words of enums, description, service config.

With `--check` nothing is written; the exit code says whether the documents are as they should be.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, is_dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from oip import comments

import services
from services.__main__ import all_services
from services.cli.audit_heads import CODE as HEADS_CODE
from services.cli.audit_heads import HEADS_FILE
from services.cli.audit_heads import TEXT as HEADS_TEXT
from services.cli.cross_checks import CROSS_CHECKS, MONTHS
from services.cli.verify import DELIVERED_TEXT
from services.kernel.law import DatedProvision, Provision
from services.kernel.parameter_check import parameter_files
from services.kernel.parameters import load
from services.runtime.service.common_invariants import COMMON_INVARIANTS
from services.runtime.service.context import Invariant
from tools.message_tables import edits_page, events_page, service_config_file
from tools.openapi import openapi_text
from tools.provinces import provinces_page
from tools.reasons import reasons_page

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "services"
CASES = ROOT / "tests" / "rules"
TAGS = {
    "law": "an article that was seen in the text, in its place and from its first day",
    "seed": "the ILO report that the scheme's design follows",
    "common": "work-injury rules by analogy, a text known by report, a figure of another place",
    "assumed": "nothing found: a province has to confirm it before money moves on it",
}


@dataclass
class Applied:
    """A provision with the functions that apply it and the cases that show it."""

    provision: Provision
    # The day from which a later text of the same rule holds in its place.
    replaced: date | None = None
    rules: set[str] = field(default_factory=set)
    cases: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def domain_modules() -> Iterator[Any]:
    """The modules in which rules stand."""
    for module in pkgutil.walk_packages(services.__path__, "services."):
        parts = module.name.split(".")
        if len(parts) > 2 and (parts[2] == "domain" or parts[1] == "kernel"):
            yield importlib.import_module(module.name)


def provisions_in(value: Any) -> Iterator[Provision]:
    """The provisions that a module's constant holds."""
    if isinstance(value, Provision):
        yield value
    elif isinstance(value, DatedProvision):
        yield from value.texts
    elif isinstance(value, dict):
        for item in value.values():
            yield from provisions_in(item)
    elif isinstance(value, list | tuple | frozenset):
        for item in value:
            yield from provisions_in(item)
    elif is_dataclass(value) and not isinstance(value, type):
        for item in vars(value).values() if hasattr(value, "__dict__") else ():
            yield from provisions_in(item)


def applied_provisions() -> dict[str, Applied]:
    """Every provision that a rule names, by its text, with rules and cases."""
    applied: dict[str, Applied] = {}
    named: dict[str, dict[str, list[Provision]]] = defaultdict(dict)
    modules = list(domain_modules())
    for module in modules:
        named[_service(module)] |= _constants(module)
    for constants in named.values():
        for provision in (provision for group in constants.values() for provision in group):
            applied.setdefault(str(provision), Applied(provision))
    _end_replaced_texts(applied, modules)
    for module in modules:
        constants = named[_service(module)]
        for function, names in _uses(module):
            for name in names & constants.keys():
                for provision in constants[name]:
                    applied[str(provision)].rules.add(function)
    for path, case in all_cases():
        provision = case["provision"]
        if provision in applied:
            applied[provision].cases[path].append(case["name"])
    return applied


def _end_replaced_texts(applied: dict[str, Applied], modules: Iterable[Any]) -> None:
    """Let the texts of a rule that a later one replaces end where that one begins."""
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, DatedProvision):
                for earlier, later in pairwise(value.texts):
                    applied[str(earlier)].replaced = later.held_by.since


def _constants(module: Any) -> dict[str, list[Provision]]:
    return {
        name: held
        for name, value in vars(module).items()
        if name.isupper() and (held := list(provisions_in(value)))
    }


def _service(module: Any) -> str:
    return str(module.__name__).split(".")[1]


def _uses(module: Any) -> Iterator[tuple[str, set[str]]]:
    """Functions of a module with the upper-case names they read, as attributes too."""
    path = Path(inspect.getfile(module))
    short = module.__name__.removeprefix("services.")
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
            names |= {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}
            yield f"{short}.{node.name}", {name for name in names if name.isupper()}


def all_cases() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every case of tests/rules with the file it stands in."""
    for path in sorted(CASES.glob("*/*.toml")):
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        for case in content.get("case", []):
            yield str(path.relative_to(ROOT)), case


def law_page() -> str:
    """docs/law.md: provision → rule → cases, then every parameter with its values."""
    applied = applied_provisions()
    count = sum(1 for _ in all_cases())
    lines = [
        "# The law in this system",
        "",
        "Written by `make docs` from rules, parameters and cases; do not edit it by hand.",
        "",
        "Each rule leaves a finding that names its provision; where a rule has several texts, the",
        "day of the accident chooses. A tag says how sure the source is:",
        "",
        *(f"- **{tag}**: {meaning}" for tag, meaning in TAGS.items()),
        "",
        f"## Provisions, the rules that apply them, and the cases that show them ({count} cases)",
        "",
        "| provision | holds | tag | rules | entrance | cases |",
        "|---|---|---|---|---|---|",
    ]
    waiting = tomllib.loads((ROOT / "docs" / "not-wired.toml").read_text(encoding="utf-8"))["rules"]
    for name in sorted(applied):
        rule_set = applied[name]
        rules = "<br>".join(f"`{rule}`" for rule in sorted(rule_set.rules))
        cases = "<br>".join(
            f"[{Path(path).parent.name}/{Path(path).stem}](../{path}): {len(names)}"
            for path, names in sorted(rule_set.cases.items())
        )
        entrance = _entrance(rule_set, waiting)
        lines.append(
            f"| {name} | {_holds(rule_set)} | {rule_set.provision.tag.value} | {rules} "
            f"| {entrance} | {cases or 'none'} |"
        )
    lines += ["", "Provisions that a case names and data carry, not code:", ""]
    lines += _carried_by_data(applied)
    lines += ["", "## Parameters", ""]
    for path in parameter_files(SOURCES):
        lines += _parameter(path)
    return "\n".join(lines).rstrip() + "\n"


def _holds(applied: Applied) -> str:
    """The days and the place in which a provision holds: of its instrument, and of its rule."""
    instrument = applied.provision.held_by
    ends = [day for day in (instrument.until, applied.replaced) if day is not None]
    until = f" to {min(ends) - timedelta(days=1)}" if ends else ""
    return f"from {instrument.since}{until} in {instrument.jurisdiction}"


def _entrance(applied: Applied, waiting: dict[str, str]) -> str:
    """Whether an RPC or an event reaches the rules; see docs/not-wired.toml."""
    waits_for = sorted({waiting[rule] for rule in applied.rules if rule in waiting})
    if not waits_for:
        return "applied"
    reached = [rule for rule in applied.rules if rule not in waiting and "._" not in rule]
    state = "applied in part" if reached else "not applied yet"
    return f"{state}: {', '.join(waits_for)}"


def invariants_page() -> str:
    """docs/invariants.md: what `oip verify` re-computes, by service."""
    groups: dict[str, tuple[Invariant, ...]] = {"every service": COMMON_INVARIANTS}
    groups |= {service.name: service.invariants for service in all_services()}
    lines = [
        "# Invariants",
        "",
        "Written by `make docs` from the services' `invariants.py`; do not edit it by hand.",
        "",
        "`oip verify` re-computes each of them from the rows and says what breaks it. Then it",
        "compares services, which no service can do alone: the rows named `all` or by two of them.",
        f"The figures are those of the last {MONTHS} months. Audit heads are compared with those",
        f"of the last run, in `{HEADS_FILE}` of the state folder or in the file of `--heads`.",
        "",
        "`I6` compares the count and the fingerprint of the current epoch of each producer with",
        "what every consumer has consumed, and of earlier epochs only that each was consumed to",
        "its end. The rows of two services compare counts and sums; of confirmed claims, which",
        "ones they are.",
        "What an event led to in a consumer is compared by these rows alone.",
        "",
        "| code | service | what must hold |",
        "|---|---|---|",
    ]
    lines += [
        f"| `{invariant.code}` | {name} | {invariant.text} |"
        for name, invariants in groups.items()
        for invariant in invariants
    ]
    lines += [
        f"| `I6` | all | {DELIVERED_TEXT} |",
        f"| `{HEADS_CODE}` | all | {HEADS_TEXT} |",
        *(
            f"| `{each.code}` | {' and '.join(each.services)} | {each.text} |"
            for each in CROSS_CHECKS
        ),
    ]
    return "\n".join(lines) + "\n"


def _carried_by_data(applied: dict[str, Applied]) -> list[str]:
    """Provisions that are a parameter's source or an item's clause, with their cases."""
    sources: dict[str, set[str]] = defaultdict(set)
    for path in parameter_files(SOURCES):
        for value in load(path).values:
            sources[value.source].add(f"`{path.parent.parent.name}/{path.stem}`")
    counts: dict[str, int] = defaultdict(int)
    for _, case in all_cases():
        provision = case["provision"]
        if provision in applied:
            continue
        clause = re.fullmatch(r"(GB/T \S+) 5\b.*", provision)
        shown = f"{clause[1]} chapter 5, `grading/grading_standard`" if clause else provision
        named = ", ".join(sorted(sources.get(provision, ())))
        counts[f"{shown} ({named})" if named else shown] += 1
    return [f"- {shown}: {count} cases" for shown, count in sorted(counts.items())]


def _parameter(path: Path) -> list[str]:
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    parameter = load(path)
    shown = f"{path.parent.parent.name}/{parameter.name}"
    lines = [
        f"### `{shown}`",
        "",
        f"{content['title']} ({content['title_zh']}). Unit: {parameter.unit}.",
        "",
        "| from | in | value | tag | source |",
        "|---|---|---|---|---|",
    ]
    for value in parameter.values:
        known = "" if value.published == value.since else f", published {value.published}"
        until = f" to {value.until}" if value.until else ""
        lines.append(
            f"| {value.since}{until}{known} | {value.jurisdiction} | {_short(value.version.value)} "
            f"| {value.tag.value} | {value.source} |"
        )
    return [*lines, ""]


def _short(text: str, longest: int = 160) -> str:
    text = text.replace("|", "/").replace("\n", " ")
    return text if len(text) <= longest else f"{text[:longest].rsplit(',', 1)[0]}, …"


def enum_labels() -> str:
    """services/kernel/enum_labels.py: the words for the values of all enums of the protos.

    A value's comment begins with them: `// Ride-hailing (出行).`
    """
    tables: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
    for name, text in comments.COMMENTS.items():
        enum, _, value = name.rpartition(".")
        match = re.match(r"([^()]+) \(([^()]+)\)[.:]", text)
        if match and value.isupper() and not value.endswith("_UNSPECIFIED"):
            tables[enum][value] = (match[1][0].lower() + match[1][1:], match[2])
    lines = [
        '"""The words for values of enums, by the full name of the enum.',
        "",
        "Written by `make docs` from the comments of the protos.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "LABELS: dict[str, dict[str, tuple[str, str]]] = {",
    ]
    for enum in sorted(tables):
        lines.append(f'    "{enum}": {{')
        rows = (f'        "{value}": ("{en}", "{zh}"),' for value, (en, zh) in tables[enum].items())
        lines += [*rows, "    },"]
    return "\n".join([*lines, "}"]) + "\n"


# What is written, by its path from the root.
PAGES = {
    "docs/edits.md": edits_page,
    "docs/events.md": events_page,
    "docs/invariants.md": invariants_page,
    "docs/law.md": law_page,
    "docs/provinces.md": provinces_page,
    "docs/reasons.md": reasons_page,
    "protos/service-config.json": service_config_file,
    "services/gateway/openapi.json": openapi_text,
    "services/kernel/enum_labels.py": enum_labels,
}


def main() -> int:
    """Write the pages, or with `--check` say which are not up to date."""
    stale = []
    for name, page in PAGES.items():
        path = ROOT / name
        text = page()
        held = path.read_text(encoding="utf-8") if path.exists() else ""
        if held != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(text, encoding="utf-8")
    if "--check" in sys.argv and stale:
        sys.stderr.write(f"{', '.join(stale)}: run `make docs`\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
