"""A platform company (平台企业), named by its unified social credit code (GB 32100)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from services.enrolment.domain.problems import NotACreditCode
from services.kernel import names
from services.kernel.identifiers import is_credit_code
from services.kernel.problems import FieldMissing, Malformed
from services.kernel.scheme import Industry

DISPLAY_NAME_LENGTH_MAX = 200
SHOWN = 40  # characters of a wrong credit code that a refusal repeats


@dataclass(frozen=True)
class Platform:
    """The particulars under which a platform registers; its industries by number."""

    credit_code: str
    display_name: str
    industries: tuple[Industry, ...]

    @property
    def name(self) -> str:
        """The resource name, `platforms/{credit code}`."""
        return platform_name(self.credit_code)


@dataclass(frozen=True)
class RegisteredPlatform:
    """A platform in the register; `revision` counts its changes, from 1."""

    platform: Platform
    create_time: datetime
    revision: int


def platform_name(credit_code: str) -> str:
    """The resource name of the platform with a credit code."""
    return names.name("platforms", credit_code)


def platform_of(credit_code: str, display_name: str, industry_numbers: Iterable[int]) -> Platform:
    """The platform with these particulars; industries are numbered as in the proto.

    Raises NotACreditCode, and Malformed for a missing name and a missing or unknown industry.
    """
    if not is_credit_code(credit_code):
        raise NotACreditCode(field="credit_code", credit_code=credit_code[:SHOWN])
    stripped_name = display_name.strip()
    if not 1 <= len(stripped_name) <= DISPLAY_NAME_LENGTH_MAX:
        raise Malformed.of(
            "display_name",
            "TEXT_LENGTH",
            "write 1 to {most} characters, all of which can be seen",
            "请填写 1 至 {most} 个可见字符",
            most=DISPLAY_NAME_LENGTH_MAX,
        )
    numbers = sorted(set(industry_numbers))
    if not numbers:
        raise FieldMissing.of("industries")
    try:
        industries = tuple(map(Industry, numbers))
    except ValueError:
        raise Malformed.choice("industries", Industry) from None
    return Platform(credit_code, stripped_name, industries)
