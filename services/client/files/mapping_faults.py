"""What is wrong with a mapping, in English and Chinese."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from services.kernel.phrases import Phrase
from services.kernel.problems import Kind, Problem

_TWICE = re.compile(r"Cannot (?:overwrite|declare|mutate).*\(at (?:line (\d+)|end of document)")


class MappingWrong(Problem):
    """The mapping file cannot be used."""

    kind, reason = Kind.MALFORMED, "MAPPING_WRONG"
    message = "The mapping {file} cannot be used: {what}."
    message_zh = "映射文件 {file} 无法使用: {what}。"


class Bilingual(PydanticCustomError):  # noqa: N818 - the mapping is refused, not the program
    """A rule of ours that a mapping breaks: a phrase that follows the name of the key."""

    def __new__(cls, what: str, what_zh: str) -> Self:
        """The phrases travel in the context of the error."""
        return super().__new__(cls, "ours", "{what}", {"what": what, "what_zh": what_zh})


# Pydantic's kinds of errors that a mapping can cause, as phrases that follow the name of the key.
_PHRASES: dict[str, tuple[str, str]] = {
    "missing": ("is missing; say where it comes from", "缺失; 请注明来源"),
    "extra_forbidden": ("is no key of a mapping; remove it", "不是映射文件的键; 请删除"),
    "string_type": ("is not a text", "不是文本"),
    "string_too_short": ("is empty", "为空"),
    "int_type": ("is not a whole number", "不是整数"),
    "int_parsing": ("is not a whole number", "不是整数"),
    "int_from_float": ("is not a whole number", "不是整数"),
    "float_type": ("is not a number", "不是数字"),
    "float_parsing": ("is not a number", "不是数字"),
    "list_type": ("is not a list", "不是列表"),
    "dict_type": ("is not a table", "不是表"),
    "model_type": ("is not a table", "不是表"),
    "too_short": ("is empty", "为空"),
    "literal_error": ("is not one of {expected}", "不是以下之一: {expected}"),
    "greater_than": ("has to be more than {gt}", "须大于 {gt}"),
    "greater_than_equal": ("has to be {ge} or more", "须不小于 {ge}"),
    "less_than": ("has to be less than {lt}", "须小于 {lt}"),
    "less_than_equal": ("has to be {le} or less", "须不大于 {le}"),
    "string_pattern_mismatch": ("does not have the form {pattern}", "格式不符 ({pattern})"),
    "ours": ("{what}", "{what_zh}"),
}
_OTHER = ("has a form that is not read", "格式无法识别")
# What discriminators and unions add to the place of an error.
_NOT_KEYS = frozenset({"$column", "$hash", "$day", "$span", "str", "int", "literal['row']"})


def rule_phrase(error: ValidationError, content: Mapping[str, Any]) -> Phrase:
    """The first error of a mapping; the code is that of the rule it breaks."""
    first = error.errors()[0]
    key = ".".join(_keys(first["loc"], content))
    english, chinese = _PHRASES.get(first["type"], _OTHER)
    facts = first.get("ctx", {})
    # Single quotes are Python's; a mapping is written with double ones.
    what = english.format(**facts).replace("'", '"') if first["type"] != "ours" else facts["what"]
    what_zh = chinese.format(**facts).replace("'", '"')
    code = "RULE_BROKEN" if first["type"] == "ours" else str(first["type"]).upper()
    return Phrase(code, f"{key} {what}".strip(), f"{key} {what_zh}".strip())


def _keys(place: Sequence[str | int], content: Any) -> list[str]:
    """The keys of an error's place: parts that pydantic adds for unions are left out."""
    keys = []
    for part in place:
        is_key = isinstance(content, dict) and part in content
        is_index = isinstance(content, list) and isinstance(part, int) and part < len(content)
        if is_key or is_index:
            content = content[part]
        elif part in _NOT_KEYS or str(part).startswith(("list[", "function-", "Cell")):
            continue
        keys.append(str(part + 1) if isinstance(part, int) else part)
    return keys


def syntax_phrase(error: tomllib.TOMLDecodeError, text: str) -> Phrase:
    """What is wrong with a text that is not TOML; a key that is given twice is named."""
    twice = _TWICE.search(str(error))
    if twice is None:
        return Phrase.of(
            "NOT_TOML", "it is not TOML ({error})", "不是 TOML 格式 ({error})", error=str(error)
        )
    lines = text.rstrip().splitlines()
    line = int(twice[1] or len(lines))
    key = lines[line - 1].partition("=")[0].strip()
    return Phrase.of(
        "KEY_TWICE",
        "{key} is given a second time in line {line}; keep one",
        "第 {line} 行再次给出 {key}; 请只保留一个",
        key=key,
        line=line,
    )
