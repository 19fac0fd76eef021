"""Names of our own are plain: see words.py for the words that are retired, and why."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.architecture.words import faults_in, faults_of

ROOT = Path(__file__).resolve().parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"
MODULES = sorted(
    path
    for folder in ("services", "tests", "tools")
    for path in (ROOT / folder).rglob("*.py")
    if "__pycache__" not in path.parts and path.name != "words.py"
)
# In a case, whose names live for one function, the nameless words may stand; tests/support and
# tools are read like the services.
CASES = re.compile(r"tests/(?!support/)")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_say_what_a_thing_is(path: Path) -> None:
    faults = faults_in(path)
    if CASES.match(str(path.relative_to(ROOT))):
        faults = [fault for fault in faults if "says how it came" not in fault]

    assert faults == [], (
        "a newcomer should not learn a second language: use the word the manual uses, or add the "
        "name with its reason to EXEMPT in words.py"
    )


DECLARED = re.compile(
    r"^\s*(?:(?:repeated |optional )?[\w.]+|map<.+>) (\w+) = \d+"
    r"|^\s*(\w+) = \d+"
    r"|^\s*(?:message|enum|rpc|service|oneof) (\w+)"
)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "protos/oip").rglob("*.proto")), ids=lambda path: path.stem
)
def test_protos_use_no_retired_word(path: Path) -> None:
    """What is retired in a service is retired in its messages, and in the values of its enums."""
    where = f"services/{path.relative_to(ROOT / 'protos/oip').parts[0]}/{path.name}"
    faults = [
        f"{path.name}:{number}: {name}{fault}"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (match := DECLARED.match(line))
        for name in [match[1] or match[2] or match[3]]
        for fault in faults_of(name if match[1] or match[3] else name.lower(), where)
    ]

    assert faults == [], (
        "a field is read by people of other provinces: use the word the manual uses (words.py)"
    )


def test_a_bare_platform_code_stands_in_no_message() -> None:
    """A field `platform` holds a resource name, as its comment says (AIP-122)."""
    bare = [
        f"{path.stem}: {number}"
        for path in sorted((ROOT / "protos/oip").rglob("*.proto"))
        for number, line in _fields_named_platform(path)
        if "platforms/" not in line and "As in" not in line
    ]

    assert bare == []


def _fields_named_platform(path: Path) -> list[tuple[int, str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [
        (number + 1, lines[number - 1])
        for number, line in enumerate(lines)
        if re.match(r"\s*string platform = ", line)
    ]


def glossary_rows() -> list[tuple[str, str]]:
    """The terms of the first part, the words of the law, with the remark in their last column."""
    text = GLOSSARY.read_text(encoding="utf-8")
    part = text.partition("## Words of the law")[2].partition("## Words of the machine")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in part.splitlines()
        if line.startswith("|") and not line.startswith(("| in the code", "|---"))
    ]
    return [(row[0], row[-1]) for row in rows]


def test_the_glossary_has_both_parts() -> None:
    text = GLOSSARY.read_text(encoding="utf-8")

    assert text.index("## Words of the law") < text.index("## Words of the machine")
    assert len(glossary_rows()) > 50


def test_every_word_of_the_law_is_used_or_marked_as_not_built() -> None:
    source = "\n".join(
        path.read_text(encoding="utf-8")
        for pattern in ("services/**/*.py", "protos/oip/**/*.proto", "services/**/*.toml")
        for path in ROOT.glob(pattern)
    )
    words = re.sub(r"[_\W]+", " ", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", source)).lower()

    unused = [
        term
        for term, remark in glossary_rows()
        if "not built" not in remark and not _is_used(term, words)
    ]
    built = [
        term
        for term, remark in glossary_rows()
        if "not built" in remark and "otherwise" not in remark and _is_used(term, words)
    ]
    assert unused == [], "use the word, mark it as not built, or take it out of the glossary"
    assert built == [], "the word is in use: take the mark off"


def _is_used(term: str, words: str) -> bool:
    return any(re.search(rf"\b{re.escape(form)}", words) for form in _forms(term))


def _forms(term: str) -> list[str]:
    """`back payment, refund` and `award (of a case)` as the words to look for."""
    plain = re.sub(r"\(.*?\)", "", term)
    return [re.sub(r"[-\s]+", " ", form).strip().lower() for form in plain.split(",")]
