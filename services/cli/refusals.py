"""Refusals of the command line itself, and the words for what an operating system refuses."""

from __future__ import annotations

import errno
from pathlib import Path

from services.kernel.phrases import Language, Phrase, fill

_OS_WORDS = {
    errno.ENOENT: ("there is no such file", "文件不存在"),
    errno.EACCES: ("access is denied", "没有访问权限"),
    errno.EPERM: ("access is denied", "没有访问权限"),
    errno.EISDIR: ("it is a folder", "这是一个文件夹"),
    errno.ENOTDIR: ("a part of the path is no folder", "路径中有一部分不是文件夹"),
    errno.ENOSPC: ("the disk is full", "磁盘空间不足"),
    errno.EROFS: ("the disk is read-only", "磁盘为只读"),
    errno.ENAMETOOLONG: ("the name is too long", "文件名过长"),
    errno.EIO: ("the disk failed", "磁盘读写出错"),
}


class Refused(Exception):  # noqa: N818 - a refusal is not an error of the program
    """A refusal of the command line itself: one sentence in each language that says what to do."""

    def __init__(self, en: str, zh: str = "", **facts: object) -> None:
        """`facts` fill the placeholders of both sentences."""
        self.sentence = fill(en, facts, Language.EN) if facts else en
        self.sentence_zh = fill(zh, facts, Language.ZH) if facts else zh or en
        super().__init__(self.sentence)


def os_words(error: OSError) -> Phrase:
    """What went wrong with a file."""
    name = errno.errorcode.get(error.errno or 0, type(error).__name__)
    en, zh = _OS_WORDS.get(error.errno or 0, (error.strerror or name, f"系统错误 {name}"))
    return Phrase(name, en, zh)


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
    """A word of which an option does not know."""
    return Refused(
        "{text} is not known here; choose one of {choices}.",
        "不支持 {text}; 请从以下各项中选择: {choices}。",
        text=text,
        choices=tuple(choices),
    )
