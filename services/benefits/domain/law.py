"""The law that benefits applies: its provisions and its parameters."""

from __future__ import annotations

from pathlib import Path

from services.kernel.law import Provision, Tag
from services.kernel.lawbook import load_law

_P79 = "人社厅函〔2025〕79号"
_WIR = "工伤保险条例"
_DEPENDANTS = "因工死亡职工供养亲属范围规定"

BASE = Provision(_P79, "第三十九条", Tag.LAW)
GRANT = Provision(_P79, "第三十八条第(二)项", Tag.LAW)
ALLOWANCE = Provision(_P79, "第三十八条第(三)项", Tag.LAW)
SETTLEMENT = Provision(_P79, "第三十八条第(四)项", Tag.LAW)
FUNERAL = Provision(_P79, "第三十九条第(一)项", Tag.LAW)
SURVIVORS = Provision(_P79, "第三十九条第(二)项", Tag.LAW)
DEATH = Provision(_P79, "第三十九条第(三)项", Tag.LAW)
REVIEW = Provision(_WIR, "第二十八条", Tag.COMMON)
TREATMENT = Provision(_WIR, "第三十条", Tag.COMMON)
DEVICES = Provision(_WIR, "第三十二条", Tag.COMMON)
CARE = Provision(_WIR, "第三十四条", Tag.COMMON)
ALLOWANCE_FLOOR = Provision(_WIR, "第三十五条第一款第(二)项", Tag.COMMON)
RETIREMENT = Provision(_WIR, "第三十五条第一款第(三)项", Tag.COMMON)
LATER_DEATH = Provision(_WIR, "第三十九条", Tag.COMMON)
INDEXATION = Provision(_WIR, "第四十条", Tag.COMMON)
MISSING = Provision(_WIR, "第四十一条", Tag.COMMON)
STOP = Provision(_WIR, "第四十二条", Tag.COMMON)
DEPENDANT = Provision(_DEPENDANTS, "第三条", Tag.COMMON)
DEPENDANT_ENDS = Provision(_DEPENDANTS, "第四条", Tag.COMMON)
RECOVERY = Provision("社会保险经办条例", "第四十六条", Tag.LAW)
FRAUD = Provision("社会保险经办条例", "第五十五条", Tag.LAW)
THIRD_PARTY = Provision("社会保险法", "第四十二条", Tag.COMMON)
TREATMENT_ALLOWANCE = Provision("国际劳工组织报告", "第五章", Tag.SEED)

LAW = load_law(
    Path(__file__).resolve().parent.parent / "parameters",
    shared=("average_wage", "disposable_income", "minimum_wage"),
)
