"""Why a call is not signed in or not allowed, in words of both languages."""

from __future__ import annotations

from services.kernel.phrases import Phrase

NO_TOKEN = Phrase.of("NO_TOKEN", "there is no token", "没有令牌")
NO_PERSON = Phrase.of(
    "NO_PERSON",
    "the token has the role worker_agent but names no person",
    "令牌有角色 worker_agent, 但未指明人员",
)
SOME_AREAS_ONLY = Phrase.of(
    "SOME_AREAS_ONLY",
    "this concerns the whole province, and your grant is for some areas only",
    "该事项涉及全省, 而您的授权仅限部分统筹地区",
)
NOT_A_SERVICE = Phrase.of(
    "NOT_A_SERVICE",
    "only a service carries a caller, and only a person or a platform is carried",
    "只有服务可以转达调用者, 且只能转达人员或平台",
)
NO_RECORDS_HERE = Phrase.of(
    "NO_RECORDS_HERE",
    "the account that the service asks for has no records here",
    "服务所代表的账号在此没有记录",
)


def of_platform_alone(platform: str) -> Phrase:
    """The account acts for another platform than that of the record."""
    return Phrase.of(
        "OTHER_PLATFORM",
        "this account acts for platform {platform} only",
        "本账号仅代表平台 {platform}",
        platform=platform,
    )


def roles_needed(roles: str) -> Phrase:
    """The roles that open a method; empty for none."""
    if not roles:
        return Phrase.of("NO_ROLE", "no role may call this method", "任何角色均不得调用此接口")
    return Phrase.of(
        "ROLE_NEEDED",
        "this needs one of the roles {roles}",
        "须有以下角色之一: {roles}",
        roles=roles,
    )


def without_platform(role: str) -> Phrase:
    """A role of a platform needs the platform."""
    return Phrase.of(
        "NO_PLATFORM",
        "the token has the role {role} but names no platform",
        "令牌有角色 {role}, 但未指明平台",
        role=role,
    )
