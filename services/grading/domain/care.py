"""Care dependence (生活自理障碍), from the five things of daily life."""

from __future__ import annotations

from collections.abc import Iterable

from services.grading.domain.appraisal import CareDependence, CareItem, listed
from services.grading.domain.law import CARE, Law
from services.kernel.law import Finding, Outcome, facts

WORDS_ZH = {
    CareDependence.NONE: "无生活自理障碍",
    CareDependence.PARTIAL: "生活部分不能自理",
    CareDependence.MAJOR: "生活大部分不能自理",
    CareDependence.FULL: "生活完全不能自理",
}


def care_dependence(care_items: Iterable[CareItem], law: Law) -> tuple[CareDependence, Finding]:
    """How much care someone depends on who cannot do these things alone."""
    cannot = sorted(set(care_items), key=lambda item: item.value)
    value = law.value("care_items")
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
        f"五项中有 {len(cannot)} 项不能自理: {WORDS_ZH[level]}。",
        inputs=facts(care_items=listed(item.name.lower() for item in cannot)),
        outputs=facts(care_dependence=level),
        parameters=(value.version,),
    )
    return level, finding
