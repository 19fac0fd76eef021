"""The law that benefits applies: its provisions and its parameters."""

from __future__ import annotations

from pathlib import Path

from services.kernel.law import DatedProvision, Provision, Tag
from services.kernel.lawbook import load_law

_P79 = "人社厅函〔2025〕79号"
_WIR = "工伤保险条例"
_R110 = "人社部发〔2021〕110号"
_SIL = "社会保险法"
_DEPENDANTS = "因工死亡职工供养亲属范围规定"

# For accidents up to 2025-06-30 the Measures of 2021 refer to the work-injury regulations
# (article 30); the day of the accident chooses.
BASE = DatedProvision(
    Provision(_R110, "第三十条(待遇计发基数)", Tag.COMMON), Provision(_P79, "第三十九条", Tag.LAW)
)
GRANT = DatedProvision(
    Provision(_WIR, "第三十五条至第三十七条(一次性伤残补助金)", Tag.COMMON),
    Provision(_P79, "第三十八条第(二)项", Tag.LAW),
)
ALLOWANCE = DatedProvision(
    Provision(_WIR, "第三十五条第一款第(二)项(伤残津贴)", Tag.COMMON),
    Provision(_P79, "第三十八条第(三)项", Tag.LAW),
)
SETTLEMENT = DatedProvision(
    Provision(_WIR, "第三十六条第二款", Tag.ASSUMED),
    Provision(_P79, "第三十八条第(四)项", Tag.LAW),
)
FUNERAL = DatedProvision(
    Provision(_WIR, "第三十九条第一款第(一)项", Tag.COMMON),
    Provision(_P79, "第三十九条第(一)项", Tag.LAW),
)
SURVIVORS = DatedProvision(
    Provision(_WIR, "第三十九条第一款第(二)项", Tag.COMMON),
    Provision(_P79, "第三十九条第(二)项", Tag.LAW),
)
DEATH = DatedProvision(
    Provision(_WIR, "第三十九条第一款第(三)项", Tag.COMMON),
    Provision(_P79, "第三十九条第(三)项", Tag.LAW),
)
DEATH_ANCHOR = Provision("实施《中华人民共和国社会保险法》若干规定", "第十一条", Tag.LAW)
REVIEW = Provision(_WIR, "第二十八条", Tag.COMMON)
TREATMENT = Provision(_WIR, "第三十条", Tag.COMMON)
DEVICES = Provision(_WIR, "第三十二条", Tag.COMMON)
CARE = Provision(_WIR, "第三十四条", Tag.COMMON)
ALLOWANCE_FLOOR = Provision(_WIR, "第三十五条第一款第(二)项", Tag.COMMON)
RETIREMENT = Provision(_WIR, "第三十五条第一款第(三)项", Tag.COMMON)
LATER_DEATH = Provision(_WIR, "第三十九条", Tag.COMMON)
DEATH_OF_LIGHT_GRADE = Provision(_WIR, "第三十八条、第三十九条", Tag.ASSUMED)
INDEXATION = Provision(_WIR, "第四十条", Tag.COMMON)
MISSING = Provision(_WIR, "第四十一条", Tag.LAW)
STOP = Provision(_WIR, "第四十二条", Tag.COMMON)
DEPENDANT = Provision(_DEPENDANTS, "第三条", Tag.COMMON)
DEPENDANT_ENDS = Provision(_DEPENDANTS, "第四条", Tag.COMMON)
# Money paid without a cause comes back by civil law; since December 2023 a regulation says so.
RECOVERY = DatedProvision(
    Provision("民法典", "第九百八十五条", Tag.COMMON),
    Provision("社会保险经办条例", "第四十六条", Tag.LAW),
)
FRAUD = DatedProvision(
    Provision(_SIL, "第八十八条", Tag.LAW),
    Provision("社会保险经办条例", "第五十五条", Tag.LAW),
)
THIRD_PARTY = Provision("法释〔2014〕9号", "第八条第三款", Tag.LAW)
TREATMENT_ALLOWANCE = Provision("国际劳工组织报告", "第五章", Tag.SEED)

LAW = load_law(
    Path(__file__).resolve().parent.parent / "parameters",
    shared=(
        "all_employee_wage",
        "average_wage",
        "disposable_income",
        "minimum_wage",
        "scheme_start",
    ),
)
