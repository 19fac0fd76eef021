"""The provisions and parameters that grading applies."""

from __future__ import annotations

from pathlib import Path

from services.kernel.identifiers import NATIONAL
from services.kernel.law import Provision, Tag
from services.kernel.lawbook import Law, load_law
from services.kernel.parameters import Value

STANDARD = "GB/T 16180-2014"
REGULATION = "工伤保险条例"
MEASURES = "劳动能力鉴定管理办法(2025)"

SEVERAL_INJURIES = Provision(STANDARD, "4.2", Tag.LAW)
OLD_IMPAIRMENT = Provision(STANDARD, "4.3", Tag.LAW)
CARE = Provision(STANDARD, "4.1.5", Tag.LAW)
MEDIAN = Provision(REGULATION, "第二十五条 (无多数意见时取中位)", Tag.ASSUMED)
STABLE = Provision(REGULATION, "第二十一条", Tag.COMMON)
REVIEW_EFFECT = Provision(REGULATION, "第二十八条", Tag.COMMON)
APPLICATION = Provision(MEASURES, "第八条", Tag.LAW)
ADJOURNMENT = Provision(MEASURES, "第十二条", Tag.LAW)
WRONG_CONCLUSION = Provision(MEASURES, "第三十一条", Tag.LAW)

LAW = load_law(Path(__file__).resolve().parents[1] / "parameters")


def law_in(pooling_area: str) -> Law:
    """The law of a claim's pooling area (division code); of the country if it has none."""
    return LAW.at(pooling_area or NATIONAL)


def provision_of(value: Value) -> Provision:
    """The provision of a value whose rule stayed while the instrument changed."""
    instrument, _, article = value.source.partition(" ")
    return Provision(instrument, article, value.tag)
