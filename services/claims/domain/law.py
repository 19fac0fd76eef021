"""The provisions that claims applies, and the parameters it reads.

The Measures of 2021 (R110) rule accidents up to 2025-06-30, those of 2025 (R24) later ones; the day
of the accident chooses the text. What neither says follows the work-injury regulations (WIR), as
article 30 of R110 has it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

from services.kernel.identifiers import province_of
from services.kernel.law import DatedProvision, Provision, Tag
from services.kernel.lawbook import Law, load_law

WIR = "工伤保险条例"
R110 = "人社部发〔2021〕110号"
R24 = "人社部发〔2025〕24号"

# The same list of situations stands in both Measures.
_R110_LIST, _R24_LIST = "第十条第一款", "第十一条第一款"


def _situation(item: str) -> DatedProvision:
    return DatedProvision(
        Provision(R110, f"{_R110_LIST}{item}", Tag.LAW),
        Provision(R24, f"{_R24_LIST}{item}", Tag.LAW),
    )


def _exclusion(wir_item: str, noun: str) -> DatedProvision:
    return DatedProvision(
        Provision(WIR, f"第十六条{wir_item}", Tag.COMMON),
        Provision(R24, f"第十一条第二款({noun})", Tag.LAW),
    )


SCHEME = DatedProvision(
    Provision(R110, "试点省份和起始日期", Tag.COMMON),
    Provision(R24, "第三十三条第二款", Tag.COMMON),
)
COVERED_WORKER = DatedProvision(
    Provision(R110, "第二条", Tag.COMMON), Provision(R24, "第二条", Tag.LAW)
)
LABOUR_RELATIONSHIP = DatedProvision(
    Provision(R110, "第二条(劳动关系除外)", Tag.COMMON),
    Provision(R24, "第二条(劳动关系除外)", Tag.LAW),
)
PLACE_OF_ACCEPTANCE = Provision("接单地参保规则", "", Tag.COMMON)
ORDER_EXECUTION = _situation("第(一)项")
VIOLENCE = _situation("第(一)项(暴力等意外伤害)")
MISSING = _situation("第(一)项(下落不明)")
REQUIRED_TRAVEL = _situation("第(二)项")
WAY_HOME = _situation("第(二)项(返回日常居所途中)")
SUDDEN_ILLNESS = _situation("第(三)项")
RESCUE = _situation("第(四)项")
RELAPSE = _situation("第(五)项")
OTHER_LAW = _situation("第(六)项")
INTENTIONAL_CRIME = _exclusion("第(一)项", "故意犯罪")
INTOXICATION = _exclusion("第(二)项", "醉酒或者吸毒")
SELF_HARM = _exclusion("第(三)项", "自残或者自杀")
FILING = Provision(WIR, "第十七条", Tag.COMMON)
EVIDENCE_REPLY = Provision(WIR, "第十八条第三款", Tag.COMMON)
DETERMINATION = DatedProvision(
    Provision(R110, "第十三条", Tag.LAW), Provision(R24, "第十四条", Tag.COMMON)
)
DOCUMENT_CHECK = Provision("工伤认定办法", "第八条", Tag.COMMON)
HARM = Provision(WIR, "第十八条", Tag.COMMON)
BURDEN_OF_PROOF = Provision(WIR, "第十九条第二款", Tag.ASSUMED)
ONE_ACCIDENT = Provision("一次事故一次认定规则", "", Tag.ASSUMED)
SEVERAL_PLATFORMS = DatedProvision(
    Provision("多平台接单责任规则", "", Tag.ASSUMED), Provision(R24, "第十五条", Tag.LAW)
)

FOLDER = Path(__file__).parent.parent / "parameters"
SHARED = ("pooling_areas", "scheme_start")


# The parameters of claims, with every publication so far.
LAW = load_law(FOLDER, SHARED)


def law_as_known(day: date) -> Law:
    """The law for decisions taken on a day: what was published by then."""
    return replace(LAW, known=day)


def pooling_area_of(place: str, day: date, law: Law) -> str:
    """The pooling area (统筹地区) of a division: itself, its prefecture, or the district's own.

    Raises ParameterNotFound for a place in no province.
    """
    prefecture = place[:4] + "00"
    areas = law.table("pooling_areas", day, province_of(place))
    return place if place in areas or prefecture not in areas else prefecture
