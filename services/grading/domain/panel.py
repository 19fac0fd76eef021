"""The panel (鉴定专家组): how it is drawn, and what its opinions amount to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from services.grading.domain.appraisal import (
    CareDependence,
    Level,
    Opinion,
    OpinionsMissing,
    PanelSizeWrong,
    PoolTooSmall,
    Specialist,
    listed,
    severity,
)
from services.grading.domain.care import WORDS_ZH, care_dependence
from services.grading.domain.ladder import grade
from services.grading.domain.law import MAJORITY, MEDIAN, PANEL, Law
from services.kernel.law import Finding, Outcome, facts

Item = TypeVar("Item")


class Random(Protocol):
    """Where chance comes from: the system's source in production, a seeded one in tests."""

    def sample(self, population: Sequence[Item], k: int) -> list[Item]:
        """So many different members of a population."""
        ...


@dataclass(frozen=True)
class Decision:
    """What the panel decides, why, and how the injuries of the majority usually heal."""

    grade: int
    care_dependence: CareDependence
    findings: tuple[Finding, ...]
    heals: frozenset[str]


@dataclass(frozen=True)
class _Vote:
    specialist: str
    grade: int
    care: CareDependence
    grade_findings: tuple[Finding, ...]
    care_finding: Finding
    heals: frozenset[str]


def draw_panel(
    pool: Collection[Specialist], size: int, excluded: Collection[str], random: Random, law: Law
) -> tuple[tuple[Specialist, ...], Finding]:
    """Draw a panel at random; `excluded` are the names of those who withdraw or sat before.

    A size of 0 asks for the smallest. Raises PanelSizeWrong and PoolTooSmall.
    """
    value = law.value("panel_sizes")
    sizes = sorted(int(text) for text in value.value)
    size = size or sizes[0]
    if size not in sizes:
        raise PanelSizeWrong(
            field="panel_size", size=size, sizes=" or ".join(str(one) for one in sizes)
        )
    # Ordered before drawing, so that the same chance gives the same panel.
    free = sorted(
        (one for one in pool if one.name not in excluded), key=lambda specialist: specialist.id
    )
    if len(free) < size:
        raise PoolTooSmall(available=len(free), size=size)
    panel = tuple(random.sample(free, size))
    finding = Finding(
        PANEL,
        Outcome.MET,
        f"{size} specialists were drawn at random from {len(free)} who may sit on the panel.",
        f"从 {len(free)} 名可选专家中随机抽取 {size} 名组成专家组。",
        inputs=facts(pool=len(free), excluded=listed(sorted(excluded)), size=size),
        outputs=facts(panel=listed(member.name for member in panel)),
        parameters=(value.version,),
    )
    return panel, finding


def decide(
    panel: Sequence[Specialist], opinions: Sequence[Opinion], level: Level, law: Law
) -> Decision:
    """The panel's grade and care dependence: its majority, with dissent on record.

    Without a majority the median counts [assumed]. Raises OpinionsMissing.
    """
    given = {opinion.specialist: opinion for opinion in opinions}
    missing = [member.name for member in panel if member.name not in given]
    if missing:
        raise OpinionsMissing(missing=listed(missing))
    votes = [_vote(given[member.name], level, law) for member in panel]
    graded = _chosen(votes, {vote.specialist: severity(vote.grade) for vote in votes})
    cared = _chosen(votes, {vote.specialist: vote.care.value for vote in votes})
    on_grade = _agreement(
        "grade",
        "伤残等级",
        {vote.specialist: str(vote.grade) for vote in votes},
        (str(graded.grade), f"{graded.grade} 级" if graded.grade else "未达等级"),
    )
    on_care = _agreement(
        "care dependence",
        "生活自理障碍",
        {vote.specialist: vote.care.name.lower() for vote in votes},
        (cared.care.name.lower(), WORDS_ZH[cared.care]),
    )
    return Decision(
        graded.grade,
        cared.care,
        (*graded.grade_findings, on_grade, cared.care_finding, on_care),
        graded.heals,
    )


def _vote(opinion: Opinion, level: Level, law: Law) -> _Vote:
    graded = grade(opinion.impairments, level, law)
    care, finding = care_dependence(opinion.care_items, law)
    return _Vote(opinion.specialist, graded.grade, care, graded.findings, finding, graded.heals)


def _chosen(votes: Sequence[_Vote], rank: Mapping[str, int]) -> _Vote:
    """The first vote at the median rank.

    In a panel of odd size a majority always holds the median, so one rule serves both cases.
    """
    ordered = sorted(rank.values())
    median = ordered[len(ordered) // 2]
    return next(vote for vote in votes if rank[vote.specialist] == median)


def _agreement(
    what: str, what_zh: str, votes: Mapping[str, str], chosen: tuple[str, str]
) -> Finding:
    agreed = [name for name, vote in votes.items() if vote == chosen[0]]
    dissent = [f"{name}: {vote}" for name, vote in votes.items() if vote != chosen[0]]
    majority = 2 * len(agreed) > len(votes)
    if majority:
        text = f"{len(agreed)} of {len(votes)} specialists agree on {what} {chosen[0]}."
        text_zh = f"{len(votes)} 名专家中 {len(agreed)} 名意见一致: {what_zh} {chosen[1]}。"
    else:
        text = f"No {what} has a majority; the median opinion, {chosen[0]}, counts (assumed rule)."
        text_zh = f"{what_zh}无多数意见, 取中位意见 {chosen[1]} (假定规则)。"
    return Finding(
        MAJORITY if majority else MEDIAN,
        Outcome.MET if majority else Outcome.CALCULATED,
        text,
        text_zh,
        inputs=facts(opinions=listed(f"{name}: {vote}" for name, vote in votes.items())),
        outputs=facts(decision=chosen[0], dissent=listed(dissent) or "none"),
    )
