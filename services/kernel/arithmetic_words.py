"""The words in the arithmetic of findings, in Chinese; numbers and signs read the same."""

from __future__ import annotations

import re

_WORDS = {
    "rounded half up to": "四舍五入为",
    "each month": "每月",
    "left of": "剩余",
    "an order": "每单",
    "allowance": "津贴",
    "due": "应付",
    "fen": "分",
    "moved": "调剂",
    "orders": "单",
    "paid": "已付",
    "years": "年",
    "yuan": "元",
}
_WORD = re.compile(rf"\b({'|'.join(_WORDS)})\b")


def in_chinese(arithmetic: str) -> str:
    """The arithmetic of a finding for those who read Chinese.

    >>> in_chinese("66 x 0.07 x 1.00 = 4.62 yuan, rounded half up to 4.62")
    '66 x 0.07 x 1.00 = 4.62 元, 四舍五入为 4.62'
    """
    return _WORD.sub(lambda word: _WORDS[word[0]], arithmetic)
