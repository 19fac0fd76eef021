"""The instruments (规范性文件) that provisions belong to: where each holds, and from which day.

The day is the first on which an accident, a payment or an act is ruled by the instrument. Rules of
this system that no text has yet are listed too, from the first day of the scheme.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from services.kernel.identifiers import NATIONAL

SCHEME_BEGINS = date(2022, 7, 1)


@dataclass(frozen=True)
class Instrument:
    """An instrument: its first day, its place, and the day from which another replaces it."""

    since: date
    jurisdiction: str = NATIONAL
    until: date | None = None


INSTRUMENTS = {
    # The scheme itself: the Measures of 2021 rule accidents up to 2025-06-30, those of 2025 later.
    "人社部发〔2021〕110号": Instrument(SCHEME_BEGINS, until=date(2025, 7, 1)),
    "人社部发〔2025〕24号": Instrument(date(2025, 7, 1)),
    "人社厅函〔2025〕79号": Instrument(date(2025, 7, 1)),
    "京人社工发〔2025〕8号": Instrument(date(2025, 7, 1), "110000"),
    "山东省试点说明 (2025-07-11)": Instrument(date(2025, 7, 1), "370000"),
    # General law on which money comes back that was paid without a cause.
    "民法典": Instrument(date(2021, 1, 1)),
    # Work-injury and social insurance, which the scheme follows where its own text is silent.
    "工伤保险条例": Instrument(date(2011, 1, 1)),
    "工伤认定办法": Instrument(date(2011, 1, 1)),
    "因工死亡职工供养亲属范围规定": Instrument(date(2004, 1, 1)),
    "社会保险法": Instrument(date(2011, 7, 1)),
    "实施《中华人民共和国社会保险法》若干规定": Instrument(date(2011, 7, 1)),
    "社会保险经办条例": Instrument(date(2023, 12, 1)),
    "社会保险基金先行支付暂行办法": Instrument(date(2011, 7, 1)),
    "人社部发〔2015〕71号": Instrument(date(2015, 10, 1)),
    "劳动能力鉴定管理办法(2014)": Instrument(date(2014, 4, 1), until=date(2025, 7, 1)),
    "劳动能力鉴定管理办法(2025)": Instrument(date(2025, 7, 1)),
    "GB/T 16180-2014": Instrument(date(2015, 1, 1)),
    # Models from elsewhere.
    "SGB VII": Instrument(date(1997, 1, 1), "DE"),
    "ILO report": Instrument(SCHEME_BEGINS),
    "国际劳工组织报告": Instrument(SCHEME_BEGINS),
    # Rules of this system, and forms of equalisation that a province may choose.
    "一次事故一次认定规则": Instrument(SCHEME_BEGINS),
    "多平台接单责任规则": Instrument(SCHEME_BEGINS),
    "接单地参保规则": Instrument(SCHEME_BEGINS),
    "疑点核查规则": Instrument(SCHEME_BEGINS),
    "纳税申报期限惯例": Instrument(SCHEME_BEGINS),
    "申报与订单核对": Instrument(SCHEME_BEGINS),
    "预缴": Instrument(SCHEME_BEGINS),
    "风险调剂": Instrument(SCHEME_BEGINS),
    "调剂金": Instrument(SCHEME_BEGINS),
    "大额案件": Instrument(SCHEME_BEGINS),
    "每单成本": Instrument(SCHEME_BEGINS),
    "基金间借款": Instrument(SCHEME_BEGINS),
    "基金支付缺口": Instrument(SCHEME_BEGINS),
}
