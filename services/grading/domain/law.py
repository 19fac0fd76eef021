"""The provisions and parameters that grading applies."""

from __future__ import annotations

from pathlib import Path

from services.kernel.identifiers import NATIONAL
from services.kernel.law import DatedProvision, Provision, Tag
from services.kernel.lawbook import Law, load_law
from services.kernel.parameters import Value

STANDARD = "GB/T 16180-2014"
REGULATION = "工伤保险条例"
MEASURES = "劳动能力鉴定管理办法(2025)"
EARLIER_MEASURES = "劳动能力鉴定管理办法(2014)"

SEVERAL_INJURIES = Provision(STANDARD, "4.2", Tag.LAW)
OLD_IMPAIRMENT = Provision(STANDARD, "4.3", Tag.LAW)
CARE = Provision(STANDARD, "4.1.5", Tag.LAW)
MEDIAN = Provision(REGULATION, "第二十五条 (无多数意见时取中位)", Tag.ASSUMED)
STABLE = Provision(REGULATION, "第二十一条", Tag.COMMON)
REVIEW_EFFECT = Provision(REGULATION, "第二十八条", Tag.COMMON)

# An appraisal follows the text in force on the day of each step (art. 39 of the Measures of 2025).
APPLICATION = DatedProvision(
    Provision(REGULATION, "第二十三条", Tag.COMMON), Provision(MEASURES, "第八条", Tag.LAW)
)
WITHDRAWAL = DatedProvision(
    Provision(REGULATION, "第二十三条(撤回申请)", Tag.ASSUMED),
    Provision(MEASURES, "第十条(撤回申请, 参照放弃申请)", Tag.ASSUMED),
)
ADJOURNMENT = DatedProvision(
    Provision(EARLIER_MEASURES, "现场鉴定时间的调整", Tag.COMMON),
    Provision(MEASURES, "第十二条", Tag.LAW),
)
RECUSAL = DatedProvision(
    Provision(REGULATION, "第二十七条", Tag.COMMON), Provision(MEASURES, "第二十八条", Tag.LAW)
)
WRONG_CONCLUSION = DatedProvision(
    Provision(EARLIER_MEASURES, "错误结论的更正和撤销", Tag.ASSUMED),
    Provision(MEASURES, "第三十一条", Tag.LAW),
)

LAW = load_law(Path(__file__).resolve().parents[1] / "parameters")


def law_in(pooling_area: str) -> Law:
    """The law of a claim's pooling area (division code); of the country if it has none."""
    return LAW.at(pooling_area or NATIONAL)


def provision_of(value: Value) -> Provision:
    """The provision of a value whose rule stayed while the instrument changed."""
    instrument, _, article = value.source.partition(" ")
    return Provision(instrument, article, value.tag)
