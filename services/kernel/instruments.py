"""The instruments (规范性文件) that provisions belong to: where each holds, and from which day.

The day is the first on which an accident, a payment or an act is ruled by the instrument. Rules of
this system that no text has yet are listed too, from the first day of the scheme.

What is tagged law cites an article that was seen in the text, in the place and on a day that the
text rules. An instrument says which of its articles were seen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from services.kernel.identifiers import NATIONAL, province_of

SCHEME_BEGINS = date(2022, 7, 1)
# The whole text was seen, so that any of its articles may be cited.
WHOLE = ("",)


@dataclass(frozen=True)
class Instrument:
    """An instrument: its first day, its place, and the day from which another replaces it.

    `seen` are the beginnings of the articles that were seen; of a text known by report alone, none.
    """

    since: date
    jurisdiction: str = NATIONAL
    until: date | None = None
    seen: tuple[str, ...] = ()


INSTRUMENTS = {
    # The scheme itself: the Measures of 2021 rule accidents up to 2025-06-30, those of 2025 later.
    "人社部发〔2021〕110号": Instrument(
        SCHEME_BEGINS, until=date(2025, 7, 1), seen=("第十条", "第十三条", "第三十条")
    ),
    "人社部发〔2025〕24号": Instrument(
        date(2025, 7, 1), seen=("通知第一项", "第二条", "第十一条", "第十五条")
    ),
    "人社厅函〔2025〕79号": Instrument(date(2025, 7, 1), seen=("第三十八条", "第三十九条", "附件")),
    "京人社工发〔2025〕8号": Instrument(date(2025, 7, 1), "110000"),
    "四川省九部门通知(2025)": Instrument(date(2025, 7, 1), "510000", seen=("第二项第(一)目",)),
    "山东省试点说明 (2025-07-11)": Instrument(date(2025, 7, 1), "370000"),
    # General law on which money comes back that was paid without a cause.
    "民法典": Instrument(date(2021, 1, 1)),
    # Work-injury and social insurance, which the scheme follows where its own text is silent.
    "工伤保险条例": Instrument(date(2011, 1, 1), seen=WHOLE),
    "工伤认定办法": Instrument(date(2011, 1, 1), seen=WHOLE),
    "因工死亡职工供养亲属范围规定": Instrument(date(2004, 1, 1), seen=("第二条",)),
    "社会保险法": Instrument(date(2011, 7, 1), seen=WHOLE),
    "实施《中华人民共和国社会保险法》若干规定": Instrument(date(2011, 7, 1), seen=WHOLE),
    "社会保险经办条例": Instrument(date(2023, 12, 1), seen=WHOLE),
    "社会保险基金先行支付暂行办法": Instrument(date(2011, 7, 1)),
    "人社部发〔2015〕71号": Instrument(date(2015, 10, 1)),
    "法释〔2014〕9号": Instrument(date(2014, 9, 1), seen=WHOLE),
    "劳动能力鉴定管理办法(2014)": Instrument(date(2014, 4, 1), until=date(2025, 7, 1)),
    "劳动能力鉴定管理办法(2025)": Instrument(date(2025, 7, 1), seen=WHOLE),
    "GB/T 16180-2014": Instrument(date(2015, 1, 1), seen=WHOLE),
    # Disputes with an authority.
    "行政复议法(2017)": Instrument(date(2018, 1, 1), until=date(2024, 1, 1)),
    "行政复议法(2023)": Instrument(date(2024, 1, 1), seen=WHOLE),
    "行政诉讼法": Instrument(date(2017, 7, 1), seen=WHOLE),
    # Official figures, cited by their year, and notices of one figure.
    "国家统计局": Instrument(date(2010, 1, 1), seen=WHOLE),
    "北京市全口径城镇单位就业人员平均工资": Instrument(date(2018, 1, 1), "110000", seen=WHOLE),
    "京人社劳发〔2025〕7号": Instrument(date(2025, 9, 1), "110000", seen=("全文",)),
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

# 第十条第一款, 通知第一项, 附件, § 178, clause 4.1.5, the figure of a year, a notice of one figure.
_ARTICLE = re.compile(
    r"(?:通知)?第[一二三四五六七八九十百]+[条项]|附件|§ ?\d|20\d\d年|全文$"
    r"|\d+(?:\.\d+)*(?:$|[ (;,])"
)
# How a source says that it is no text of its own.
_SECOND_HAND = re.compile(
    r"assum|analog|report|press\b|news|as in |until |unofficial|比照|日报|晚报|新闻|光明网|网$|"
    r"\.com|问答|答问",
    re.IGNORECASE,
)


def not_law(source: str, since: date, place: str) -> str:
    """Why what a source says from a day on in a place is not the law; empty if it is.

    `source` is an instrument, a blank and its article; remarks follow a semicolon.
    """
    cited = source.partition(";")[0].strip()
    name = max((each for each in INSTRUMENTS if cited.startswith(f"{each} ")), key=len, default="")
    if not name:
        return "the source names no instrument of instruments.py with an article"
    if second_hand := _SECOND_HAND.search(source):
        return f"the source says {second_hand[0].strip()!r}, which is no text of its own"
    return _not_seen(name, cited.removeprefix(name).strip()) or _not_ruled(name, since, place)


def _not_seen(name: str, article: str) -> str:
    """Why an article cannot be cited; empty if it was seen in the text."""
    if not _ARTICLE.match(article):
        return f"{article!r} is not an article of {name}"
    if not article.startswith(INSTRUMENTS[name].seen):
        return f"{article} of {name} was not seen in its text"
    return ""


def _not_ruled(name: str, since: date, place: str) -> str:
    """Why an instrument does not rule from a day on in a place; empty if it does."""
    instrument = INSTRUMENTS[name]
    if instrument.since > since:
        return f"{name} rules from {instrument.since} on"
    if instrument.until is not None and since >= instrument.until:
        return f"{name} rules to the day before {instrument.until}"
    division = place.rpartition("@")[2]
    if instrument.jurisdiction in {NATIONAL, division, province_of(division)}:
        return ""
    return f"{name} rules in {instrument.jurisdiction}, not in {place}"
