"""Sentences are whole in both languages, and what fills them is typed.

A fact of a refusal is a value, an enum, a `Phrase` or a tuple of them; prose would be English
inside a Chinese sentence. The program finds enums and phrases in services/kernel/phrases.py.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from enum import Enum
from functools import cache
from pathlib import Path
from string import Formatter

import pytest

import services
from services.kernel.field_titles import TITLES
from services.kernel.phrases import label_of
from services.kernel.problems import Problem
from tests.support.problems import all_problems

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ROOT / "services"

# What has no Chinese name, or is written so in Chinese, too.
NAMES = {
    *("Arrow", "CSV", "IPC", "JSON", "MiB", "NATS", "OrderRows", "PEM", "SHA-256", "TOML"),
    *("UTF-8", "UTF-16", "UTC", "XML", "camt", "mg", "ml", "pain", "protobuf", "KVG"),
    *("FeatureCollection", "GeoJSON", "POST", "base64", "gRPC", "gzip"),
}
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
# `oip claims help (说明)`: help of the command line gives the Chinese word after the English text.
_IN_BRACKETS = re.compile(r"\([^()]*[\u4e00-\u9fff][^()]*\)")
# `inputs 事实`: a word in both languages.
_SIDE_BY_SIDE = re.compile(r"[a-z]+ [\u4e00-\u9fff]+")
# Regular expressions are matched with texts of others.
_PATTERN = re.compile(r"\\[bdws.]|\|")
# Commands and examples, options, variables and files of the repository stand as they are typed.
_TYPED = re.compile(r"`[^`]*`|--[a-z-]+|OIP_[A-Z_]+|deploy/README\.md|\{[^{}]*\}")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9-]+")

# A phrase with two sentences, after this number of other arguments.
_PHRASES = {
    "Phrase": 1,
    "Phrase.of": 1,
    "Forbidden.of": 1,
    "Unauthenticated.of": 1,
    "EvidenceBroken.of": 1,
    "Malformed.of": 2,
    "Malformed.leave_out": 2,
    "Refused": 0,
}
_ENUM_FIELDS = {
    *("applicant", "basis", "cause", "code", "event", "industry", "kind", "level", "outcome"),
    *("resolution", "role", "state"),
}


# Heads of columns as platforms write them, which nobody reads as a sentence.
HEADS = SERVICES / "client" / "files" / "vocabulary.py"


def _sources() -> list[Path]:
    return [path for path in sorted(SERVICES.rglob("*.py")) if path != HEADS]


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _text(node: ast.AST) -> str | None:
    """A text as the program has it, with {} for each value in an f-string."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values
        )
    return None


def _texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The texts of a module that people may read."""
    documentation = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    parts = {
        part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values
    }
    for node in ast.walk(tree):
        text = _text(node)
        if text is not None and node not in documentation | parts and not _PATTERN.search(text):
            yield node.lineno, text  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", _sources(), ids=lambda path: str(path.relative_to(SERVICES)))
def test_no_chinese_sentence_holds_an_english_word_or_the_constant_of_an_enum(path: Path) -> None:
    wrong = {}
    for line, text in _texts(_tree(path)):
        if not _CHINESE.search(_IN_BRACKETS.sub("", text)) or _SIDE_BY_SIDE.fullmatch(text):
            continue
        words = [word for word in _WORD.findall(_TYPED.sub(" ", text)) if word not in NAMES]
        if words:
            wrong[line] = words

    assert not wrong, "say it in Chinese, or put what is typed as it stands between backticks"


def _calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Each call with the name of what is called: `Phrase.of`, `NotFound`."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Call):
            yield ".".join(ast.unparse(node.func).split(".")[-2:]), node


@cache
def _problems() -> dict[str, type[Problem]]:
    """All refusals by their names."""
    return {problem.__name__: problem for problem in all_problems()}


def _refusals(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for name, call in _calls(path):
        if name.rpartition(".")[2] in _problems() or name in _PHRASES:
            yield name, call


def _is_prose(fact: ast.expr) -> bool:
    """Whether a fact is made of words, or is the name of an enum's value, or a list as a text."""
    text = _text(fact)
    if text is not None:
        return bool(re.search(r"[^\W\d_]+\s|\s[^\W\d_]+|[\u4e00-\u9fff]", text))
    if isinstance(fact, ast.Attribute) and fact.attr == "name":
        owner = fact.value
        owner_name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
        return owner_name in _ENUM_FIELDS
    called = fact.func if isinstance(fact, ast.Call) else None
    return isinstance(called, ast.Attribute) and called.attr in {"join", "lower", "title"}


@pytest.mark.parametrize("path", _sources(), ids=lambda path: str(path.relative_to(SERVICES)))
def test_facts_are_values_enums_and_phrases_and_no_prose(path: Path) -> None:
    wrong = [
        f"{call.lineno}: {name}({keyword.arg}={ast.unparse(keyword.value)})"
        for name, call in _refusals(path)
        for keyword in call.keywords
        if keyword.arg and (keyword.arg.endswith("_zh") or _is_prose(keyword.value))
    ]

    assert not wrong, "give the enum's value, a Phrase, or a tuple of them"


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("path", _sources(), ids=lambda path: str(path.relative_to(SERVICES)))
def test_each_placeholder_of_a_sentence_is_filled(path: Path) -> None:
    wrong = []
    for name, call in _refusals(path):
        given = {keyword.arg for keyword in call.keywords}
        if None in given:
            continue
        if name in _PHRASES:
            texts = [_text(part) or "" for part in call.args[_PHRASES[name] :][:2]]
            if name == "Phrase" and len(call.args) > 3:
                texts = []
        else:
            refusal = _problems().get(name)
            if refusal is None or "__init__" in vars(refusal):
                continue
            texts = [refusal.message, refusal.message_zh]
        needed = set().union(*map(_placeholders, texts))
        if needed - given:
            wrong.append(f"{call.lineno}: {name} needs {sorted(needed - given)}")

    assert not wrong


@pytest.mark.parametrize("path", _sources(), ids=lambda path: str(path.relative_to(SERVICES)))
def test_what_the_command_line_refuses_is_said_in_both_languages(path: Path) -> None:
    if path.relative_to(SERVICES).parts[0] != "cli":
        return
    wrong = [
        call.lineno for name, call in _calls(path) if name == "Refused" and len(call.args) != 2
    ]

    assert not wrong


# Calls that print for people, with the number of arguments before the sentence.
_PRINTS = {"typer.echo": 0, "console.print": 0, "_console.print": 0, "print_sentence": 1}


def _is_english_alone(sentence: ast.expr) -> bool:
    """Whether a text has words of one language, whatever that of the command is."""
    text = _text(sentence) or ""
    # A command stands alone on its line, as it is typed.
    plain = "" if text.lstrip().startswith("oip ") else _TYPED.sub(" ", text)
    return bool(re.search(r"[A-Za-z]{2}[^A-Za-z]+[A-Za-z]{2}|[a-z]{3}", plain))


@pytest.mark.parametrize("path", _sources(), ids=lambda path: str(path.relative_to(SERVICES)))
def test_what_the_command_line_prints_is_said_in_both_languages(path: Path) -> None:
    if path.relative_to(SERVICES).parts[0] != "cli":
        return
    wrong = [
        f"{call.lineno}: {ast.unparse(call.args[_PRINTS[name]])}"
        for name, call in _calls(path)
        if name in _PRINTS
        and len(call.args) > _PRINTS[name]
        and _is_english_alone(call.args[_PRINTS[name]])
    ]

    assert not wrong, "take it from say(english, chinese)"


@pytest.mark.parametrize("path", _sources(), ids=lambda path: str(path.relative_to(SERVICES)))
def test_every_column_of_the_command_line_has_a_chinese_title(path: Path) -> None:
    if path.relative_to(SERVICES).parts[0] != "cli":
        return
    without = {
        key.value
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant)
        and isinstance(value, ast.Call)
        and re.search(r"(_value|^Value|^Cell)$", ast.unparse(value.func))
        and key.value not in TITLES
    }

    assert not without, "add it to services/kernel/field_titles.py"


def _refused_enums() -> list[type[Enum]]:
    """The enums of domains that have the names of an enum of the protos."""
    _problems()
    found = {
        member
        for module in pkgutil.walk_packages(services.__path__, "services.")
        if ".domain." in module.name or module.name == "services.kernel.scheme"
        for _, member in inspect.getmembers(importlib.import_module(module.name), inspect.isclass)
        if issubclass(member, Enum) and member is not Enum
    }
    return sorted(found, key=lambda each: (each.__module__, each.__qualname__))


def test_the_enums_that_lifecycles_and_refusals_name_have_words() -> None:
    worded = set()
    for enum in _refused_enums():
        try:
            words = [label_of(member) for member in enum]
        except LookupError:
            continue
        assert all(word.en and _CHINESE.search(word.zh) for word in words), enum
        worded.add(enum.__qualname__)

    assert worded >= {"ClaimState", "BillState", "Industry", "AppraisalLevel", "BenefitKind"}
