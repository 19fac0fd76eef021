"""Codes of citizens, organisations and divisions, and references as people write them.

Sources: GB 11643-1999 (citizen identity number), GB 32100-2015 (unified social credit code),
GB/T 2260 (administrative divisions).
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date

_CITIZEN_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CITIZEN_CHECK = "10X98765432"
_CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CREDIT_WEIGHTS = tuple(pow(3, i, 31) for i in range(17))
_DIVISION = re.compile(r"[1-9]\d{5}", re.ASCII)

# The whole country, in the place of a division code.
NATIONAL = "CN"


def citizen_check(body: str) -> str:
    """The check character for the first 17 digits of a citizen number."""
    weighted = sum(int(d) * w for d, w in zip(body, _CITIZEN_WEIGHTS, strict=True))
    return _CITIZEN_CHECK[weighted % 11]


def is_citizen_number(text: str) -> bool:
    """Whether this is a well-formed 18-character citizen number with a real birth date."""
    if not re.fullmatch(r"[1-9]\d{16}[\dX]", text, re.ASCII):
        return False
    try:
        date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    return text[17] == citizen_check(text[:17])


def birth_date(citizen_number: str) -> date:
    """The birth date in a valid citizen number."""
    return date(int(citizen_number[6:10]), int(citizen_number[10:12]), int(citizen_number[12:14]))


def credit_check(body: str) -> str:
    """The check character for the first 17 characters of a unified social credit code."""
    weighted = sum(
        _CREDIT_ALPHABET.index(c) * w for c, w in zip(body, _CREDIT_WEIGHTS, strict=True)
    )
    return _CREDIT_ALPHABET[(31 - weighted % 31) % 31]


def is_credit_code(text: str) -> bool:
    """Whether this is a well-formed 18-character unified social credit code."""
    if not re.fullmatch(f"[{_CREDIT_ALPHABET}]{{18}}", text):
        return False
    return text[17] == credit_check(text[:17])


def is_division(text: str) -> bool:
    """Whether this has the form of a division code (province, prefecture, county: 2 + 2 + 2)."""
    return _DIVISION.fullmatch(text) is not None


def province_of(division: str) -> str:
    """The province of a division: `440100` gives `440000`."""
    return division[:2] + "0000"


def spelling_key(text: str) -> str:
    """What all spellings of a reference on paper have in common: its letters and digits.

    Unicode form NFKC, without case, spaces, punctuation and signs; leading zeros stay. Digits of
    other scripts count as the digits 0 to 9. Empty for a text without letters and digits.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(
        str(unicodedata.decimal(character)) if category == "Nd" else character
        for character, category in ((one, unicodedata.category(one)) for one in folded)
        if category[0] in "LN"
    )
