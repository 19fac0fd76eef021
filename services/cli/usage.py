"""Mistakes in how a command is written, in Chinese; in English the parser says them itself."""

from __future__ import annotations

import re
from typing import Any

from typer.exceptions import TyperException

_COMMAND = re.compile(r"No such command '(.+)'\.")
_CHOICES = re.compile(r"is not one of (.+)")
_QUOTED = re.compile(r"'([^']+)'")
_EXTRA = re.compile(r"Got unexpected extra arguments? ?(?:\(s\) )?\((.+)\)")


def usage_zh(error: TyperException) -> str | None:
    """What is wrong and where the usage stands; None for a request for help."""
    kind, facts = type(error).__name__, vars(error)
    if kind == "NoArgsIsHelpError":
        return None
    parameter = facts.get("param")
    name = _name_of(parameter) or facts.get("option_name") or ""
    command, extra = _COMMAND.search(error.message), _EXTRA.search(error.message)
    if kind == "MissingParameter":
        sentence = f"缺少 {name}"
    elif kind == "NoSuchOption":
        sentence = f"没有选项 {name}"
    elif command:
        sentence = f"没有命令 {command[1]}"
    elif extra:
        sentence = f"多余的参数: {extra[1]}"
    else:
        sentence = f"{name or '命令'} 的写法有误"
        if choices := _CHOICES.search(error.message):
            sentence += f", 可选: {'、'.join(_QUOTED.findall(choices[1]))}"
    context = facts.get("ctx")
    path = context.command_path if context is not None else "oip"
    return f"{sentence}; 用法见 `{path} --help`。"


def _name_of(parameter: Any) -> str:
    """An option as it is written, or the name of an argument in the usage."""
    if parameter is None:
        return ""
    options = [text for text in parameter.opts if text.startswith("--")]
    return options[0] if options else str(parameter.name).upper()
