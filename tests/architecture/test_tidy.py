"""The project's own linter: what ruff, mypy and import-linter cannot say.

Each rule says in its failure why it exists. To be exempt, add the path or the name to the constant
that the rule names, with its reason behind it.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.__main__ import all_services
from services.runtime.service.common_invariants import COMMON_INVARIANTS
from tests.support.problems import all_problems

ROOT = Path(__file__).parents[2]
SERVICES = ("enrolment", "orders", "premiums", "claims", "grading", "benefits", "fund", "staff")
# What every service holds, so that who knows one finds everything in the others (see
# docs/architecture.md). Exempt a service by adding its module to EXTRA with the reason.
MODULES = {"__main__", "api", "commands", "consumers", "domain", "events", "invariants", "store"}
EXTRA = {
    "claims": {"clients"},  # asks enrolment and orders before a transaction opens
    "enrolment": {"clients"},  # asks the others before it erases a worker
    "fund": {"clients"},  # asks the producers before a proposal
    "orders": {"reader"},  # parses and validates batches in a process without credentials
    # adjustments and true-ups, which concern many awards at once
    "benefits/api": {"law_changes"},
    "grading/api": {"registers"},  # specialists and items, which belong to no appraisal
    # The RPCs of AccidentService, while servicer has those of ClaimService; the list of claims.
    "claims/api": {"accidents", "queue"},
    "staff": {"bootstrap"},  # the first members, registered by the operator of the database
    "orders/api": {"upload"},  # a stream in both directions, which no other service has
}
WITHOUT_PARAMETERS = {"enrolment", "staff"}  # apply no number of the law
API = {"servicer", "parse", "format"}
GERUND = re.compile(r"(?<!str)(?<!th)ing$")
# Nouns that end alike: a rating, a standing.
NOUNS_IN_ING = {"0001_grading", "grading", "staging", "standing"}
# Style sheets that are our own.
OWN_STYLES = {"services/console/static/console.css"}
LONGEST_FILE = 400
# Tables of words, which nobody reads from end to end.
WORD_TABLES = {"services/kernel/enum_labels.py", "services/kernel/field_titles.py"}
LONGEST_WIRING = 40
LONGEST_FUNCTION = 70
# What looks like a code of a rule and is none.
NOT_CODES = {"P79", "R24", "R110"}


def source_files(*folders: str) -> list[Path]:
    return sorted(
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if "__pycache__" not in path.parts
    )


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def modules_in(folder: Path) -> set[str]:
    """The modules and packages of a folder."""
    packages = {path.name for path in folder.iterdir() if (path / "__init__.py").exists()}
    return {path.stem for path in folder.glob("*.py")} - {"__init__"} | packages


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_the_agreed_files(service: str) -> None:
    folder = ROOT / "services" / service

    assert modules_in(folder) == MODULES | EXTRA.get(service, set()), (
        "who knows one service finds everything in the others: put it into the agreed modules, or "
        "add the module with its reason to EXTRA"
    )
    assert (folder / "README.md").exists(), "a page says what the service decides and does not"
    assert (folder / "parameters").is_dir() or service in WITHOUT_PARAMETERS, (
        "numbers of the law stand in parameters; a service without any is in WITHOUT_PARAMETERS"
    )
    versions = [path.name[:4] for path in (folder / "migrations" / "versions").glob("*.py")]
    assert versions == ["0001"], "nobody has a database yet: change the first migration"


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_the_agreed_second_level(service: str) -> None:
    folder = ROOT / "services" / service
    api = folder / "api"
    alike = "one finds the same in every service"

    if api.is_dir():
        assert modules_in(api) == API | EXTRA.get(f"{service}/api", set()), (
            f"{alike}: servicer, parse and format; add a module with its reason to EXTRA"
        )
    else:
        assert (folder / "api.py").exists(), f"{alike}: api.py or api/"
    assert {"tables", "invariants"} <= modules_in(folder / "store"), alike
    assert "problems" in modules_in(folder / "domain"), alike
    assert modules_in(folder / "commands"), alike
    nested = [
        str(path.relative_to(folder))
        for part in ("api", "commands", "domain", "store")
        for path in (folder / part).glob("*/*.py")
    ]
    assert nested == [], "two levels are enough to find a thing: make it a module"


@pytest.mark.parametrize("service", SERVICES)
def test_modules_are_nouns(service: str) -> None:
    gerunds = [
        str(path.relative_to(ROOT))
        for path in source_files(f"services/{service}")
        if GERUND.search(path.stem) and path.stem not in NOUNS_IN_ING
    ]

    assert gerunds == [], (
        "a module holds things, and a reader looks for the thing: name the aggregate or the "
        "concept; a noun that ends alike belongs in NOUNS_IN_ING"
    )


@pytest.mark.parametrize("service", SERVICES)
def test_the_entrances_are_wiring_alone(service: str) -> None:
    folder = ROOT / "services" / service
    consumers = ast.parse((folder / "consumers.py").read_text(encoding="utf-8"))
    defined = [node.name for node in ast.walk(consumers) if isinstance(node, ast.FunctionDef)]
    handlers = importlib.import_module(f"services.{service}.consumers").HANDLERS
    wrong = [
        handler.__name__
        for event, handler in handlers.items()
        if handler.__name__ != "on_" + snake_case(event.DESCRIPTOR.name)
        or f"services.{service}.commands" not in handler.__module__
    ]

    main = (folder / "__main__.py").read_text(encoding="utf-8")
    assert len(main.splitlines()) <= LONGEST_WIRING, (
        "what is started in __main__ alone is tested by nobody: keep it wiring (LONGEST_WIRING)"
    )
    assert defined == [], "consumers.py says which command takes which event, and does nothing"
    assert wrong == [], "a consumed event is found by its name: handle it in commands, on_<event>"


@pytest.mark.parametrize("service", SERVICES)
def test_a_rule_that_only_refuses_is_named_require(service: str) -> None:
    others = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in sorted((ROOT / "services" / service / "domain").glob("*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
        and isinstance(node.returns, ast.Constant)
        and node.returns.value is None
        and any(isinstance(part, ast.Raise) for part in ast.walk(node))
        and not node.name.lstrip("_").startswith("require_")
    ]

    assert others == [], (
        "a caller sees by the name that a function returns nothing and may raise: require_…"
    )


def test_third_party_files_stand_apart() -> None:
    kinds = {".css", ".xsd", ".woff", ".woff2", ".ttf", ".otf", ".min.js"}
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    strays = [
        name
        for name in tracked
        if Path(name).suffix in kinds
        and not name.startswith("third_party/")
        and name not in OWN_STYLES
    ]

    assert strays == [], (
        "style sheets, schemas and fonts of others have a licence and a hash: third_party/"
    )


def snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def test_every_invariant_has_a_code_of_its_own() -> None:
    codes = [
        invariant.code
        for invariants in (
            COMMON_INVARIANTS,
            *(service.invariants for service in all_services()),
        )
        for invariant in invariants
    ]

    assert sorted(set(codes)) == sorted(codes), (
        "an operator reports a code, and it must lead to one check: take another code"
    )


def test_code_cites_no_rule_of_a_document_that_is_not_here() -> None:
    """Codes such as I7 are those of invariants; other rules are said in words."""
    codes = {
        part
        for invariants in (COMMON_INVARIANTS, *(one.invariants for one in all_services()))
        for invariant in invariants
        for part in (invariant.code, invariant.code.partition("-")[0])
    }
    cited = re.compile(
        r"\b(?:rule|rules|reliability)? ?([MNPGFIKDLSW]\d{1,2}[a-z]?(?:-[a-z-]+)?)\b"
    )
    undefined = [
        f"{path.relative_to(ROOT)}:{number}: {code}"
        for pattern in ("services/**/*.py", "services/**/*.md", "protos/oip/**/*.proto", "*.md")
        for path in sorted(ROOT.glob(pattern))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if path.suffix != ".py" or "#" in line or '"""' in line
        for code in cited.findall(line)
        if code not in codes and code not in NOT_CODES
    ]

    assert undefined == [], (
        "a reader cannot look the code up: say the rule in words, or define the invariant; what "
        "looks like a code and is none belongs in NOT_CODES"
    )


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in source_files("services")
        if {"domain", "store", "commands", "kernel"} & set(path.parts)
    ],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_what_protects_money_is_no_assert(path: Path) -> None:
    asserts = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node.test)}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assert) and not _is_narrowing(node.test)
    ]

    assert asserts == [], (
        "`python -O` removes assertions, and what guards money or evidence must still stop a "
        "change: raise a RuntimeError of a name. `assert x is not None`, for mypy, may stand"
    )


def _is_narrowing(test: ast.expr) -> bool:
    """`x is not None`: what follows would fail on None without the assertion too."""
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.left, ast.Name | ast.Attribute)
        and [type(operator) for operator in test.ops] == [ast.IsNot]
        and isinstance(test.comparators[0], ast.Constant)
        and test.comparators[0].value is None
    )


@pytest.mark.parametrize(
    "path", source_files("services", "tests", "tools"), ids=lambda p: str(p.relative_to(ROOT))
)
def test_files_and_functions_are_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1}"
        for node in functions(path)
        if node.end_lineno and node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
    ]

    assert lines <= LONGEST_FILE or str(path.relative_to(ROOT)) in WORD_TABLES, (
        "past 400 lines a file is two ideas: make it a package of the same name (LONGEST_FILE)"
    )
    assert long == [], (
        "a function that fits a screen is read at once: name its parts (LONGEST_FUNCTION)"
    )


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in source_files("services")
        if "kernel" in path.parts or path.name == "domain.py" or "domain" in path.parts
    ],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_rules_use_no_floats(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    literals = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, float)
    ]
    calls = [
        node.lineno for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "float"
    ]

    assert literals + calls == [], (
        "a float rounds money and shares differently on another path: use Fen, Decimal, Fraction"
    )


def test_every_reason_belongs_to_one_problem_and_says_what_to_do() -> None:
    problems = [problem for problem in all_problems() if "reason" in vars(problem)]
    by_reason: dict[str, list[str]] = {}
    for problem in problems:
        by_reason.setdefault(problem.reason, []).append(problem.__qualname__)

    doubled = {reason: names for reason, names in by_reason.items() if len(names) > 1}
    assert doubled == {}, "a client decides by the reason what to do: one problem, one reason"
    for problem in problems:
        assert re.fullmatch(r"[A-Z][A-Z0-9_]{2,62}", problem.reason), problem
        assert inspect.getdoc(problem), problem
        assert problem.message.rstrip().endswith((".", "}")), problem
        assert re.search(r"[\u4e00-\u9fff]", problem.message_zh), problem


def test_every_reason_is_documented() -> None:
    written = (ROOT / "docs" / "reasons.md").read_text(encoding="utf-8")
    missing = [
        problem.reason
        for problem in all_problems()
        if "reason" in vars(problem) and f"`{problem.reason}`" not in written
    ]

    assert missing == [], "a client's engineer looks the reason up: run `make docs`"


def test_the_project_speaks_of_itself_alone() -> None:
    """No package registry, no path of a machine."""
    words = re.compile("|".join(("py" + "pi", "python" + "hosted", "/ro" + "ot/", "/ho" + "me/")))
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for pattern in ("services/**/*", "docs/**/*", "deploy/**/*", "requirements/*", "*.md")
        for path in ROOT.glob(pattern)
        if path.is_file() and path.suffix in {".py", ".md", ".toml", ".txt", ".yaml", ".in", ""}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if words.search(line)
    ]

    assert found == [], "whoever clones it has another machine and another registry: leave it out"
