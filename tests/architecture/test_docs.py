"""The documents are true where a program can tell: files exist, pages are short, lines wrap."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from services.__main__ import all_services
from services.cli import connection
from services.runtime.service.context import producer_of
from tests.architecture.test_tidy import MODULES

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "deploy/*.md",
        "services/**/*.md",
        "third_party/**/*.md",
    )
    for path in ROOT.glob(pattern)
)
GENERATED = {
    "edits.md",
    "events.md",
    "law.md",
    "provinces.md",
    "reasons.md",
    "invariants.md",
}
WIDEST = 100
README_WORDS_MAX = 500
FLOW_LINES_MAX = 20
ADR_LINES_MAX = 60


def page_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_exit_code_of_the_command_line_is_on_its_pages() -> None:
    codes = {value for name, value in vars(connection).items() if name.startswith("EXIT_")}
    readme, page = (
        (ROOT / name).read_text(encoding="utf-8")
        for name in ("README.md", "services/cli/README.md")
    )

    (sentence,) = re.findall(r"Exit codes of `oip`:(.*?)\n\n", readme, re.DOTALL)
    assert {int(code) for code in re.findall(r"\b(\d+)\s[a-z]", sentence)} == {0, *codes}
    (table,) = re.findall(r"## Exit codes\n(.*?)\n\n[^|]", page, re.DOTALL)
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == {0, *codes}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\((?!https?:)([^)]+)\)", text)]
    paths = re.findall(r"`((?:services|tests|tools|docs|deploy|protos)/[\w./-]+)`", text)

    missing = [link for link in links if link and not (page.parent / link).exists()]
    missing += [path for path in paths if not (ROOT / path).exists() and "build" not in path]
    assert missing == [], "the file moved or was never there"


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name not in GENERATED], ids=page_id
)
def test_prose_is_wrapped(page: Path) -> None:
    in_code = False
    wide = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            in_code = not in_code
        if len(line) > WIDEST and not in_code and not line.startswith(("|", "[")):
            wide.append(number)

    assert wide == [], "wrap prose at 100 columns, so that a diff shows a sentence"


def test_the_readme_keeps_its_reader() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    assert len(text.split()) <= README_WORDS_MAX


@pytest.mark.parametrize("page", sorted((ROOT / "docs/flows").glob("*.md")), ids=page_id)
def test_a_flow_is_read_at_a_glance(page: Path) -> None:
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if line.strip()]

    assert len(lines) <= FLOW_LINES_MAX


@pytest.mark.parametrize("page", sorted((ROOT / "docs/flows").glob("*.md")), ids=page_id)
def test_a_flow_names_a_file_and_a_function_in_each_step(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    steps = re.split(r"^\d\. ", text, flags=re.MULTILINE)[1:]
    named = [re.findall(r"`(services/[\w/]+\.py)`\s+`(\w+)`", step) for step in steps]

    assert [number for number, found in enumerate(named, 1) if not found] == []
    missing = [
        f"{path}: {function}"
        for found in named
        for path, function in found
        if f"def {function}(" not in (ROOT / path).read_text(encoding="utf-8")
    ]
    assert missing == [], "the function moved or has another name"


@pytest.mark.parametrize("page", sorted((ROOT / "docs/adr").glob("*.md")), ids=page_id)
def test_a_decision_is_one_page(page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    assert len(text.splitlines()) <= ADR_LINES_MAX
    assert "would change our mind" in text.lower()


def test_the_architecture_page_lists_what_a_service_holds() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    part = text.partition("## What a service folder holds")[2].partition("\n## ")[0]
    listed = {
        name.rstrip("/").removesuffix(".py")
        for name in re.findall(r"^\| `([\w.]+/?)`", part, re.MULTILINE)
    }

    assert (
        listed - {"README.md", "parameters", "migrations", "clients", "reader", "bootstrap"}
        == MODULES
    )


def test_the_architecture_page_lists_who_consumes_which_event() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    part = text.partition("| from | event | to |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (\w+) \| (.+) \| (.+) \|$", part, re.MULTILINE)
    listed = [
        (producer, event, consumer)
        for producer, events, consumers in rows
        for event in re.findall(r"`(\w+)`", events)
        for consumer in consumers.split(", ")
    ]
    consumed = [
        (producer_of(event), event.DESCRIPTOR.name, service.name)
        for service in all_services()
        for event in service.consumed
    ]

    assert sorted(listed) == sorted(consumed), (
        "who changes an event looks here for its consumers: the table follows HANDLERS of all "
        "services"
    )


@pytest.mark.parametrize(
    "service", ["enrolment", "orders", "premiums", "claims", "grading", "benefits", "fund", "staff"]
)
def test_a_service_page_says_what_it_decides_and_does_not(service: str) -> None:
    text = (ROOT / "services" / service / "README.md").read_text(encoding="utf-8").lower()

    for word in ("owns", "is asked", "consumes", "publishes", "does not decide"):
        assert word in text, word
