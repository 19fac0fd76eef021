"""Words that this project does not use for names of its own, and why.

A newcomer who knows gRPC, NATS, PostgreSQL and double entry should not have to learn a second
language. Each row names words, the part of the tree in which they are retired, and what to say.
To be exempt, add the name with its reason to EXEMPT.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# A name that contains one of these words: where it is retired, and the word to use.
RETIRED_PARTS: tuple[tuple[str, str, str], ...] = (
    ("tell tells told untold", "services", "publish, published, unpublished"),
    ("hear hears heard hearing", "services", "consume, consumed; a hearing is a legal proceeding"),
    ("carried", "services", "envelope"),
    ("announced", "services", "addresses, published_addresses"),
    ("keeper", "services/runtime", "background"),
    ("ground", "services/runtime", "HostContext"),
    ("desk desks occasion", "services tests", "CommandContext, Connection, Actors, StackClient"),
    ("judge judged judging", "services/orders services/client services/orderlog", "validate"),
    ("stretch trail faults", "services/orders", "PeriodOfAreas, LogProgress, Violations"),
    ("gone stray misplaced headless", "services/orders", "a name that says what is counted"),
    ("doubled strangers", "services/orders", "duplicate_rows, not_enrolled"),
    ("beside", "services/claims services/orders", "is_supplementary"),
    ("crimes", "tests", "tampering"),
)
# A whole name.
RETIRED_NAMES: tuple[tuple[str, str, str], ...] = (
    ("put_aside settle settled", "services/runtime", "to_dead_letter, resolve"),
    ("Running keeps verify_with _Served begin_all end_hearing", "services", "ServiceContext, …"),
    ("problem_behind is_away fault_for_log", "services", "as_problem, is_unavailable, log_fields"),
    ("look LOOKING looking", "services/runtime services/orders", "read, READ_ONLY"),
    ("answered _Once", "services", "stored_response, IdempotentRequest"),
    ("Worker WorkerPool WORKER_COUNT", "services/orders services/client", "ReaderProcess, …"),
    ("places", "services/orders", "slots, positions"),
    ("settle Settled settled", "services/orders services/client", "resolve_known_rows"),
    ("may_come meets_held again", "services/orders", "worth_waiting, sends_known_rows, resend"),
    ("Walk FREEZES STRAY GONE", "services/orders services/runtime", "LogVerifier, ChainCheck"),
    ("front catch_up hold_awards behind", "services/benefits", "last_run, load_paid_awards, …"),
    ("Held HeldRecovery", "services", "EnrolledWorkers, DayCounts, PaidAward"),
    ("Told Charged Declared Incoming Wanted Posted Found Asked", "services", "what the row is"),
    ("fact", "services/fund", "transaction"),
    ("Readiness", "services/fund", "CloseReadiness"),
    ("in_words listed words words_zh", "services", "format_moment, join, message, message_zh"),
    ("OneSentence", "services/cli", "ErrorReportingGroup"),
    ("story live turn_to sent_at", "services/demo", "scenario, simulate, set_clock"),
    ("survey cut Share", "services/client", "summarise_file, split_into_batches, PlatformPart"),
    ("Office OrderDesk Province", "tests", "StackClient"),
)
RETIRED_MODULES = [
    "assessing",
    "paying",
    "declaring",
    "advancing",
    "receiving",
    "verifying",
    "walking",
    "signing",
    "freezing",
    "archiving",
    "reading",
    "uploading",
    "sealing",
    "filing",
    "deciding",
    "pushing",
    "hearing",
    "judging",
    "walking",
    "formatting",
    "parsing",
    "crimes",
    "looking",
    "order_lives",
    "pair",
    "served",
    "mutating",
    "plain",
]
# Names that say how a value came, not what it is.
NAMELESS = frozenset(["one", "held", "found", "made", "given", "wanted", "asked", "told"])
LINES_MAX = 5
EXEMPT: dict[str, str] = {
    "services/client/files/mapping.py:words": "a table of the mapping: what words of a file mean",
}

_PART = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")


@dataclass(frozen=True)
class Name:
    """A name that the project gives: what kind of thing it names, and where it stands."""

    text: str
    kind: str
    path: Path
    line: int
    # How many lines a local variable lives; 0 for names that outlive a function.
    line_count: int = 0

    @property
    def place(self) -> str:
        """`services/x.py:12`."""
        return f"{self.path.relative_to(ROOT)}:{self.line}"


def names_in(path: Path) -> Iterator[Name]:
    """The names that a module gives: to itself, definitions, parameters, variables, imports."""
    yield Name(path.stem, "module", path, 1)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _variables(node, path)
        yield from _defined_by(node, path)
    for statement in tree.body:
        for target in _targets(statement):
            yield Name(target, "constant", path, statement.lineno)


def _defined_by(node: ast.AST, path: Path) -> Iterator[Name]:
    """What one node defines: itself, its parameters, its attributes."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield Name(node.name, "definition", path, node.lineno)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        kind = "variable" if isinstance(node, ast.Lambda) else "parameter"
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                yield Name(argument.arg, kind, path, node.lineno, _length(node))
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        yield Name(node.attr, "attribute", path, node.lineno)
    if isinstance(node, ast.ClassDef):
        for part in node.body:
            for target in _targets(part):
                yield Name(target, "attribute", path, part.lineno)
    yield from _bound_by(node, path)


def _bound_by(node: ast.AST, path: Path) -> Iterator[Name]:
    """What imports, handlers and patterns bind."""
    if isinstance(node, ast.alias) and node.asname:
        yield Name(node.asname, "import", path, node.lineno)
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        yield Name(node.name, "variable", path, node.lineno, _length(node))


def _targets(statement: ast.stmt) -> list[str]:
    """The names that an assignment at the top of a module or of a class gives."""
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    if isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    return sorted(name for target in targets for name in _stored(target))


LOOPS = (ast.For, ast.AsyncFor)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def _variables(function: ast.FunctionDef | ast.AsyncFunctionDef, path: Path) -> Iterator[Name]:
    """Local variables with the lines from their first to their last use, or of their loop."""
    lines: defaultdict[str, list[int]] = defaultdict(list)
    stored: set[str] = set()
    looped: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Name):
            lines[node.id].append(node.lineno)
            stored |= {node.id} if isinstance(node.ctx, ast.Store) else set()
        if isinstance(node, LOOPS + COMPREHENSIONS):
            names = _stored(node.target if isinstance(node, LOOPS) else node)
            looped |= names
            for name in names:
                yield Name(name, "variable", path, node.lineno, _length(node))
    for name in stored - looped:
        yield Name(name, "variable", path, min(lines[name]), max(lines[name]) - min(lines[name]))


def _stored(node: ast.AST) -> set[str]:
    return {
        part.id
        for part in ast.walk(node)
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
    }


def _length(node: ast.expr | ast.stmt | ast.ExceptHandler | ast.pattern) -> int:
    return (node.end_lineno or node.lineno) - node.lineno


def faults_in(path: Path) -> list[str]:
    """What is wrong with the names of a module, a sentence each."""
    where = str(path.relative_to(ROOT))
    sentences = set()
    for name in names_in(path):
        if f"{where}:{name.text}" in EXEMPT:
            continue
        what = f"{name.place}: {name.kind} {name.text}"
        if name.kind == "module" and name.text in RETIRED_MODULES:
            sentences.add(f"{what} is a gerund; name what it holds")
        is_short = name.kind == "variable" and name.line_count <= LINES_MAX
        sentences |= {f"{what}{fault}" for fault in faults_of(name.text, where, is_short=is_short)}
    return sorted(sentences)


def faults_of(name: str, where: str, *, is_short: bool = False) -> list[str]:
    """What is wrong with a name at a path of the tree; a name that lives shortly may be plain."""
    parts, names = _retired(RETIRED_PARTS, where), _retired(RETIRED_NAMES, where)
    words = {part.lower() for part in _PART.findall(name)}
    faults = [f"; say {parts[word]}" for word in sorted(words & parts.keys())]
    if name in names:
        faults.append(f"; say {names[name]}")
    if name.lower() in NAMELESS and not is_short:
        faults.append(" says how it came; say what it is")
    return faults


def _retired(rows: tuple[tuple[str, str, str], ...], where: str) -> dict[str, str]:
    """The words retired at a path, with what to say instead."""
    return {
        word: instead
        for words, folders, instead in rows
        if any(where.startswith(folder) for folder in folders.split())
        for word in words.split()
    }


if __name__ == "__main__":
    for argument in sys.argv[1:] or ["services"]:
        place = ROOT / argument
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            for sentence in faults_in(file):
                print(sentence)  # noqa: T201 - a tool for people
