"""How a command shows its result: the language of people, and the format of the output."""

from __future__ import annotations

import locale
import os
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum

from services.kernel.phrases import Language

# Options that may stand anywhere in a command, with their values.
ANYWHERE = {"--format": ("table", "csv", "json"), "--language": ("en", "zh")}


class Format(Enum):
    """The forms of a result: for people, for spreadsheets, for programs."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


@dataclass(frozen=True)
class View:
    """The language and the format of a command, and whether the language was asked for."""

    language: Language = Language.EN
    format: Format = Format.TABLE
    is_language_set: bool = False


_view: ContextVar[View] = ContextVar("view")


def view() -> View:
    """The view of the command that runs; before its options are read, that of the locale."""
    return _view.get(None) or View(language_of_locale())


def set_view(language: Language | None, form: Format) -> None:
    """Set the view of the command; without a language, that of the locale."""
    _view.set(View(language or language_of_locale(), form, language is not None))


def language() -> Language:
    """The language of the command's sentences."""
    return view().language


def say(en: str, zh: str) -> str:
    """One of two texts."""
    return zh if language() is Language.ZH else en


def language_of_locale() -> Language:
    """Chinese if the locale of messages is, else English."""
    names = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    text = next(filter(None, names), "") or (locale.getlocale()[0] or "")
    return Language.ZH if text.startswith("zh") else Language.EN


def language_in(arguments: Sequence[str]) -> Language:
    """The language that the arguments name, before they are read; else that of the locale."""
    for name, value in zip(arguments, [*arguments[1:], ""], strict=True):
        text = name.removeprefix("--language=") if "=" in name else value
        if name.partition("=")[0] == "--language" and text in ANYWHERE["--language"]:
            return Language(text)
    named = os.environ.get("OIP_LANGUAGE", "")
    return Language(named) if named in ANYWHERE["--language"] else language_of_locale()


def options_first(arguments: Iterable[str]) -> list[str]:
    """The arguments with the options that may stand anywhere in front of the command."""
    front: list[str] = []
    rest: list[str] = []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        name, equals, value = argument.partition("=")
        if argument == "--":
            rest += [argument, *waiting]
            break
        values = ANYWHERE.get(name, ())
        if equals and value in values:
            front.append(argument)
        elif not equals and waiting and waiting[0] in values:
            front += [argument, waiting.pop(0)]
        else:
            rest.append(argument)
    return [*front, *rest]
