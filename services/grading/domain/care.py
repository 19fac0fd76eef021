"""Care dependence (生活自理障碍), from the five activities of daily life."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from enum import Enum

from services.grading.domain.law import CARE
from services.kernel.law import Finding, Outcome, facts
from services.kernel.lawbook import Law
from services.kernel.scheme import CareDependence

CARE_DEPENDENCE_ZH = {
    CareDependence.NONE: "无生活自理障碍",
    CareDependence.PARTIAL: "生活部分不能自理",
    CareDependence.MAJOR: "生活大部分不能自理",
    CareDependence.FULL: "生活完全不能自理",
}


class CareItem(Enum):
    """The activities of daily life that measure care dependence; numbers as in the proto."""

    EATING = 1
    TURNING_OVER = 2
    TOILET = 3
    DRESSING_AND_WASHING = 4
    MOVING_ABOUT = 5


def care_dependence(
    care_items: Iterable[CareItem], law: Law, day: date
) -> tuple[CareDependence, Finding]:
    """The care dependence of a person who cannot do these activities alone."""
    cannot = sorted(set(care_items), key=lambda item: item.value)
    value = law.on("care_items", day)
    level = CareDependence.NONE
    for name, candidate in (
        ("partial", CareDependence.PARTIAL),
        ("major", CareDependence.MAJOR),
        ("full", CareDependence.FULL),
    ):
        if len(cannot) >= value.at(name):
            level = candidate
    finding = Finding(
        CARE,
        Outcome.NOT_MET if level is CareDependence.NONE else Outcome.MET,
        f"{len(cannot)} of five things cannot be done alone: care dependence {level.name.lower()}.",
        f"五项中有 {len(cannot)} 项不能自理: {CARE_DEPENDENCE_ZH[level]}。",
        inputs=facts(care_items=", ".join(item.name.lower() for item in cannot)),
        outputs=facts(care_dependence=level),
        parameters=(value.version,),
    )
    return level, finding
