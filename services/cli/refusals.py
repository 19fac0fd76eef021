"""Refusals of the command line itself."""

from __future__ import annotations

from pathlib import Path

from services.client.error_words import os_words
from services.kernel.phrases import Language, fill


class Refused(Exception):  # noqa: N818 - a refusal is not an error of the program
    """A refusal of the command line itself: one sentence in each language that says what to do."""

    def __init__(self, en: str, zh: str = "", **facts: object) -> None:
        """`facts` fill the placeholders of both sentences."""
        self.sentence = fill(en, facts, Language.EN) if facts else en
        self.sentence_zh = fill(zh, facts, Language.ZH) if facts else zh or en
        super().__init__(self.sentence)


def unreadable(file: Path, error: OSError) -> Refused:
    """A file that cannot be read."""
    return Refused(
        "{file} cannot be read: {what}; check its name.",
        "无法读取 {file}: {what}; 请核对文件名。",
        file=file,
        what=os_words(error),
    )


def unwritable(file: Path, error: OSError) -> Refused:
    """A file that cannot be written."""
    return Refused(
        "{file} cannot be written: {what}; free space, grant access, or name another file.",
        "无法写入 {file}: {what}; 请清理磁盘、授予权限或更换文件。",
        file=file,
        what=os_words(error),
    )


def not_a_choice(text: str, choices: list[str]) -> Refused:
    """A word that an option does not know."""
    if not text:
        return Refused(
            "Nothing is written where a choice is needed; choose one of {choices}.",
            "此处须填写, 请从以下各项中选择: {choices}。",
            choices=tuple(choices),
        )
    return Refused(
        "{text} is not known here; choose one of {choices}.",
        "不支持 {text}; 请从以下各项中选择: {choices}。",
        text=text,
        choices=tuple(choices),
    )
