"""What the bar at the top offers, by roles."""

from __future__ import annotations

from collections.abc import Sequence

from services.console.pages import (
    ADJUDICATOR,
    ADMINISTRATOR,
    COMMITTEE,
    FUND,
    FUND_READERS,
    PLATFORM,
    SIGNERS,
)
from services.console.texts import Text

_ITEMS: tuple[tuple[frozenset[str], str, Text], ...] = (
    (ADJUDICATOR, "/claims", ("Claims", "案件办理")),
    (PLATFORM, "/platform", ("Overview", "企业概况")),
    (PLATFORM, "/uploads", ("Orders", "订单上传")),
    (PLATFORM, "/workers", ("Workers", "参保人员")),
    (PLATFORM, "/claims", ("Claims", "伤害申请")),
    (PLATFORM | FUND_READERS, "/bills", ("Bills", "缴费账单")),
    (COMMITTEE, "/appraisals", ("Appraisals", "劳动能力鉴定")),
    (FUND_READERS, "/fund", ("Month", "月度办理")),
    (FUND, "/awards", ("Awards", "待遇核定")),
    (FUND_READERS, "/fund/settlement", ("Settlement", "结算结账")),
    (SIGNERS, "/signatures", ("Signatures", "复核签批")),
    (ADMINISTRATOR, "/operations", ("Operations", "运行维护")),
    (frozenset(), "/records", ("All records", "全部资料")),
)


def of(roles: frozenset[str]) -> Sequence[tuple[str, Text]]:
    """The addresses and titles for these roles; nothing for somebody who is not signed in."""
    if not roles:
        return ()
    return [
        (path, title)
        for needed, path, title in _ITEMS
        if not needed or not needed.isdisjoint(roles)
    ]
