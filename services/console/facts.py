"""A message as people read it: its values, and its parts one below the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from services.console.texts import say, title_of
from services.console.values import Cell, Formatter
from services.kernel.phrases import Language
from services.runtime.rpc.message_fields import is_value

FINDING = "oip.type.v1.Finding"
# As deep as a message of the protos goes, and no deeper.
LEVELS_MAX = 5
_HIDDEN = {"revision", "next_page_token"}


@dataclass(frozen=True)
class Part:
    """A message or a list of messages under a title."""

    title: str
    pairs: Sequence[tuple[str, Cell]] = ()
    headings: Sequence[str] = ()
    rows: Sequence[Sequence[Cell]] = ()
    findings: Sequence[Any] = ()
    inner: Sequence[Part] = field(default_factory=tuple)


def parts_of(
    message: Any, language: Language, title: str = "", without: Iterable[str] = ()
) -> list[Part]:
    """A message: its values first, then what it holds."""
    hidden = {*without, *_HIDDEN}
    return _parts(message, language, title, hidden, 0)


def _parts(
    message: Any, language: Language, title: str, hidden: set[str], level: int
) -> list[Part]:
    formatter = Formatter(language)
    names = [each.name for each in message.DESCRIPTOR.fields if each.name not in hidden]
    zh = language is Language.ZH
    names = [name for name in names if not _is_other_language(message, name, zh=zh)]
    pairs = [
        (title_of(name.removesuffix("_zh"), language), formatter.of(message, name))
        for name in names
        if is_value(message.DESCRIPTOR.fields_by_name[name])
    ]
    parts = (
        [Part(title, [pair for pair in pairs if pair[1].text])]
        if any(cell.text for _, cell in pairs)
        else []
    )
    if level >= LEVELS_MAX:
        return parts
    for name in names:
        described = message.DESCRIPTOR.fields_by_name[name]
        if not is_value(described):
            parts += _inner(getattr(message, name), described, message, language, level)
    return parts


def _inner(
    content: Any, described: Any, message: Message, language: Language, level: int
) -> list[Part]:
    title = title_of(described.name, language)
    if described.message_type.full_name == FINDING:
        findings = list(content) if described.is_repeated else [content]
        held = described.is_repeated or message.HasField(described.name)
        return [Part(title, findings=findings)] if findings and held else []
    if not described.is_repeated:
        if not message.HasField(described.name):
            return []
        return _parts(content, language, title, set(_HIDDEN), level + 1)
    if not content:
        return []
    fields = described.message_type.fields
    flat = [each.name for each in fields if is_value(each)]
    if len(flat) == len(fields):
        return [_table(title, content, flat, language)]
    return [
        part
        for number, each in enumerate(content, 1)
        for part in _parts(each, language, f"{title} {number}", set(_HIDDEN), level + 1)
    ]


def _table(title: str, rows: Sequence[Any], names: Sequence[str], language: Language) -> Part:
    formatter = Formatter(language)
    zh = language is Language.ZH
    names = [name for name in names if not _is_other_language(rows[0], name, zh=zh)]
    cells = [[formatter.of(row, name) for name in names] for row in rows]
    filled = [place for place in range(len(names)) if any(line[place].text for line in cells)] or [
        0
    ]
    return Part(
        title,
        headings=[title_of(names[place].removesuffix("_zh"), language) for place in filled],
        rows=[[line[place] for place in filled] for line in cells],
    )


def _is_other_language(message: Any, name: str, *, zh: bool) -> bool:
    """Whether the same text stands in the page's language next to it."""
    known = message.DESCRIPTOR.fields_by_name
    return (f"{name}_zh" in known and zh) or (name.endswith("_zh") and not zh)


def sentence_of(finding: Any, language: Language) -> str:
    """The sentence of a finding."""
    return say((finding.text, finding.text_zh), language)
