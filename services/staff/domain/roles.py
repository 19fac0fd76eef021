"""Which roles the register grants, and what a grant must say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum

from services.kernel.identifiers import is_credit_code, is_division
from services.kernel.phrases import Phrase, label
from services.kernel.problems import Malformed, OutOfRange
from services.staff.domain.problems import RoleNotGrantable

AREAS_MAX = 50
# Ten billion yuan: a bound against mistyped numbers, in fen.
DAY_LIMIT_FEN_MAX = 1_000_000_000_000


class Role(Enum):
    """The roles of the register; numbers as in the proto. Services and workers are not in it."""

    PLATFORM = 1
    ADJUDICATOR = 3
    APPRAISER = 4
    FUND_OFFICER = 5
    FUND_APPROVER = 6
    ADMINISTRATOR = 7
    PLATFORM_ADMINISTRATOR = 9
    SPECIALIST = 10


OF_PLATFORMS = frozenset({Role.PLATFORM, Role.PLATFORM_ADMINISTRATOR})


@dataclass(frozen=True)
class NewGrant:
    """A role to grant: division codes (none for the province), credit code, fen a day, days."""

    role: Role
    areas: tuple[str, ...]
    platform: str
    day_limit_fen: int
    from_date: date
    until_date: date | None


def grant_of(
    role_number: int,
    areas: Sequence[str],
    platform: str,
    day_limit_fen: int,
    days: tuple[date, date | None],
) -> NewGrant:
    """A grant as written. Raises Malformed or RoleNotGrantable with what is wrong."""
    try:
        role = Role(role_number)
    except ValueError:
        raise RoleNotGrantable(
            field="grant.role",
            role=role_number,
            what=Phrase("NO_ROLE", "it is no role of the register", "名册中没有该角色"),
        ) from None
    if (role in OF_PLATFORMS) != bool(platform):
        raise RoleNotGrantable(
            field="grant.platform",
            role=label("oip.type.v1.Access.Role", role.name),
            what=Phrase(
                "PLATFORM_OR_NONE",
                "roles of platforms name one platform, other roles none",
                "平台角色须指明一个平台, 其他角色不得指明平台",
            ),
        )
    if platform and not is_credit_code(platform):
        raise Malformed.form("grant.platform", "platforms/{credit_code}")
    if len(areas) > AREAS_MAX or not all(map(is_division, areas)):
        raise Malformed.of(
            "grant.areas",
            "NOT_DIVISIONS",
            "write at most {most} division codes of six digits",
            "请至多填写 {most} 个六位行政区划代码",
            most=AREAS_MAX,
        )
    if platform and areas:
        raise Malformed.leave_out(
            "grant.areas",
            "PLATFORM_ROLE_HAS_NO_AREAS",
            "a role of a platform has no areas",
            "平台角色没有统筹地区",
        )
    if not 0 <= day_limit_fen <= DAY_LIMIT_FEN_MAX:
        raise OutOfRange.of("grant.day_limit_fen", day_limit_fen, 0, DAY_LIMIT_FEN_MAX)
    from_date, until_date = days
    if until_date is not None and until_date < from_date:
        raise Malformed.of(
            "grant.until_date",
            "ENDS_BEFORE_IT_BEGINS",
            "the last day lies before the first",
            "结束日期早于开始日期; 请核对",
        )
    return NewGrant(role, tuple(sorted(set(areas))), platform, day_limit_fen, from_date, until_date)
