"""What an operating system or a library says of a file, in words of both languages."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from services.kernel.phrases import Phrase

_SAID_MAX = 200
_WORDS = {
    errno.ENOENT: ("there is no such file", "文件不存在"),
    errno.EACCES: ("access is denied", "没有访问权限"),
    errno.EPERM: ("access is denied", "没有访问权限"),
    errno.EISDIR: ("it is a folder", "这是一个文件夹"),
    errno.ENOTDIR: ("a part of the path is no folder", "路径中有一部分不是文件夹"),
    errno.ENOSPC: ("the disk is full", "磁盘空间不足"),
    errno.EROFS: ("the disk is read-only", "磁盘为只读"),
    errno.ENAMETOOLONG: ("the name is too long", "文件名过长"),
    errno.EIO: ("the disk failed", "磁盘读写出错"),
    errno.ELOOP: ("its link leads to itself", "链接指向自身"),
}


def os_words(error: OSError) -> Phrase:
    """What went wrong with a file."""
    name = errno.errorcode.get(error.errno or 0, type(error).__name__)
    en, zh = _WORDS.get(error.errno or 0, (error.strerror or name, f"系统错误 `{name}`"))
    return Phrase(name, en, zh)


def name_of(path: Path) -> str:
    """The name of a file for a sentence; `.` and `/` have none, so that the path stands for it."""
    return path.name or str(path)


def library_words(error: Exception | str) -> Phrase:
    """What a library says of a file: its own words in English, in Chinese where it is."""
    said = str(error).splitlines()[0][:_SAID_MAX] if str(error) else type(error).__name__
    said = re.sub(r"[Rr]ow #?(\d+)", r"row \1", said)
    row = re.search(r"\b(?:row|line) (\d+)", said)
    where = f"第 {row[1]} 行有误" if row else "内容已损坏或与格式不符"
    return Phrase("LIBRARY", said, where)


NAME_NOT_UTF8 = Phrase("NAME_NOT_UTF8", "a name in it is not UTF-8", "其中有名称不是 UTF-8")
