"""The panel (鉴定专家组): its specialists, their draw, and the decision on their opinions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol, TypeVar

from services.grading.domain.care import CARE_DEPENDENCE_ZH, CareItem, care_dependence
from services.grading.domain.grades import Impairment, grade_of, severity
from services.grading.domain.law import MAJORITY, MEDIAN, PANEL
from services.grading.domain.problems import OpinionsMissing, PanelSizeWrong, PoolTooSmall
from services.kernel import names
from services.kernel.law import Finding, Outcome, facts
from services.kernel.lawbook import Law
from services.kernel.scheme import AppraisalLevel, CareDependence

Item = TypeVar("Item")


class Random(Protocol):
    """A source of chance: the operating system's in production, a seeded one in tests."""

    def sample(self, population: Sequence[Item], k: int) -> list[Item]:
        """Different members of a population, `k` of them."""
        ...


@dataclass(frozen=True)
class Specialist:
    """A specialist of the pool; the committee's own `number` replaces the name."""

    id: str
    number: str
    field: str
    provincial: bool

    @property
    def name(self) -> str:
        """The resource name."""
        return specialist_name(self.id)


@dataclass(frozen=True)
class Opinion:
    """The opinion of one member of the panel; `specialist` is the resource name."""

    specialist: str
    impairments: tuple[Impairment, ...]
    care_items: frozenset[CareItem]


@dataclass(frozen=True)
class Decision:
    """The panel's decision with its findings.

    `heals` are the kinds of injury by which healing time is counted, as in deferral_months.
    """

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


def specialist_name(specialist_id: str) -> str:
    """The resource name of the specialist with an id."""
    return names.name("specialists", specialist_id)


def draw_panel(
    pool: Collection[Specialist],
    size: int,
    excluded: Collection[str],
    law: Law,
    day: date,
    *,
    random: Random,
) -> tuple[tuple[Specialist, ...], Finding]:
    """Draw a panel at random; `excluded` are names of specialists who withdraw or sat before.

    A size of 0 means the smallest. Raises PanelSizeWrong and PoolTooSmall.
    """
    value = law.on("panel_sizes", day)
    sizes = sorted(int(text) for text in value.value)
    size = size or sizes[0]
    if size not in sizes:
        raise PanelSizeWrong(field="panel_size", size=size, sizes=" or ".join(map(str, sizes)))
    # Ordered before drawing, so that the same chance gives the same panel.
    free = sorted(
        (specialist for specialist in pool if specialist.name not in excluded),
        key=lambda specialist: specialist.id,
    )
    if len(free) < size:
        raise PoolTooSmall(available=len(free), size=size)
    panel = tuple(random.sample(free, size))
    finding = Finding(
        PANEL,
        Outcome.MET,
        f"{size} specialists were drawn at random from {len(free)} who may sit on the panel.",
        f"从 {len(free)} 名可选专家中随机抽取 {size} 名组成专家组。",
        inputs=facts(pool=len(free), excluded=", ".join(sorted(excluded)), size=size),
        outputs=facts(panel=", ".join(member.name for member in panel)),
        parameters=(value.version,),
    )
    return panel, finding


def decide(
    panel: Sequence[Specialist],
    opinions: Sequence[Opinion],
    level: AppraisalLevel,
    law: Law,
    day: date,
) -> Decision:
    """The panel's grade and care dependence: those of its majority, with dissent on record.

    Without a majority the median counts [assumed]. Raises OpinionsMissing.
    """
    opinion_of = {opinion.specialist: opinion for opinion in opinions}
    missing = [member.name for member in panel if member.name not in opinion_of]
    if missing:
        raise OpinionsMissing(missing=", ".join(missing))
    votes = [_vote(opinion_of[member.name], level, law, day) for member in panel]
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
        (cared.care.name.lower(), CARE_DEPENDENCE_ZH[cared.care]),
    )
    return Decision(
        graded.grade,
        cared.care,
        (*graded.grade_findings, on_grade, cared.care_finding, on_care),
        graded.heals,
    )


def _vote(opinion: Opinion, level: AppraisalLevel, law: Law, day: date) -> _Vote:
    graded = grade_of(opinion.impairments, level, law, day)
    care, finding = care_dependence(opinion.care_items, law, day)
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
        inputs=facts(opinions=", ".join(f"{name}: {vote}" for name, vote in votes.items())),
        outputs=facts(decision=chosen[0], dissent=", ".join(dissent) or "none"),
    )
