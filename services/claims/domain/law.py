"""The provisions that claims applies, and the parameters it reads.

The pilot's own list of situations has not been published in full; what stands here is modelled on
the work-injury regulations (工伤保险条例) and tagged so, until a province confirms it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path

from services.kernel.identifiers import province_of
from services.kernel.law import Provision, Tag
from services.kernel.lawbook import Law, load_law
from services.kernel.parameters import ParameterNotFound

WIR = "工伤保险条例"
PILOT = "人社部发〔2025〕24号"

COVERED_WORKER = Provision(PILOT, "第二条", Tag.LAW)
LABOUR_RELATIONSHIP = Provision(PILOT, "第二条(劳动关系除外)", Tag.LAW)
PLACE_OF_ACCEPTANCE = Provision(PILOT, "接单地参保规则", Tag.LAW)
ORDER_EXECUTION = Provision(WIR, "第十四条第(一)项", Tag.ASSUMED)
VIOLENCE = Provision(WIR, "第十四条第(三)项", Tag.ASSUMED)
MISSING = Provision(WIR, "第十四条第(五)项", Tag.ASSUMED)
REQUIRED_TRAVEL = Provision(WIR, "第十四条第(六)项", Tag.ASSUMED)
COMMUTING = Provision(WIR, "第十四条第(六)项(上下班途中)", Tag.COMMON)
SUDDEN_ILLNESS = Provision(WIR, "第十五条第一款第(一)项", Tag.ASSUMED)
RESCUE = Provision(WIR, "第十五条第一款第(二)项", Tag.ASSUMED)
INTENTIONAL_CRIME = Provision(WIR, "第十六条第(一)项", Tag.COMMON)
INTOXICATION = Provision(WIR, "第十六条第(二)项", Tag.COMMON)
SELF_HARM = Provision(WIR, "第十六条第(三)项", Tag.COMMON)
FILING = Provision(WIR, "第十七条", Tag.COMMON)
EVIDENCE_REPLY = Provision(WIR, "第十八条第三款", Tag.COMMON)
DETERMINATION = Provision(WIR, "第二十条", Tag.COMMON)
DOCUMENT_CHECK = Provision("工伤认定办法", "第八条", Tag.COMMON)
HARM = Provision(WIR, "第十八条", Tag.COMMON)
BURDEN_OF_PROOF = Provision(WIR, "第十九条第二款", Tag.ASSUMED)
SEVERAL_PLATFORMS = Provision("多平台接单费用归属规则", "", Tag.ASSUMED)

FOLDER = Path(__file__).parent.parent / "parameters"
SHARED = ("pooling_areas",)


@cache
def published_law() -> Law:
    """The parameters of claims, with every publication so far."""
    return load_law(FOLDER, SHARED)


def law_as_known(day: date) -> Law:
    """The law for decisions taken on a day: what was published by then."""
    return replace(published_law(), known=day)


def pooling_area_of(place: str, day: date, law: Law) -> str:
    """The pooling area (统筹地区) of a division: itself, its prefecture, or the district's own.

    A place in a province whose pooling areas are not known counts to its prefecture.
    """
    prefecture = place[:4] + "00"
    try:
        areas = law.table("pooling_areas", day, province_of(place))
    except ParameterNotFound:
        return prefecture
    return place if place in areas or prefecture not in areas else prefecture
