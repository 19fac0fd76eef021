"""The panel (鉴定专家组): its specialists, their draw, and the decision on their opinions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum
from hashlib import sha256

from services.grading.domain.care import CARE_DEPENDENCE_ZH, CareItem, care_dependence
from services.grading.domain.grades import Impairment, grade_of, severity
from services.grading.domain.law import MEDIAN, RECUSAL, provision_of
from services.grading.domain.problems import (
    OpinionsMissing,
    PanelSizeWrong,
    PoolTooSmall,
    TermRunning,
)
from services.kernel import names
from services.kernel.law import Finding, Outcome, facts
from services.kernel.lawbook import Law
from services.kernel.parameters import Value
from services.kernel.periods import birthday
from services.kernel.scheme import AppraisalLevel, CareDependence


class ExclusionCode(Enum):
    """Why a specialist may not sit on a panel (回避事由); numbers as in the proto."""

    RELATIVE = 1
    INTEREST = 2
    TREATED_THE_WORKER = 3
    WITHDREW = 4


@dataclass(frozen=True)
class Exclusion:
    """A specialist, by id, who may not sit on a panel, and why."""

    specialist: str
    code: ExclusionCode

    @property
    def name(self) -> str:
        """The resource name of the specialist."""
        return specialist_name(self.specialist)


@dataclass(frozen=True)
class Recusal:
    """A person, `staffMembers/{id}`, who steps down from a panel (自行回避), and why."""

    member: str
    code: ExclusionCode
    reason: str


@dataclass(frozen=True)
class Term:
    """The term for which a specialist is appointed (聘期), with its first and last day."""

    first_day: date
    last_day: date


@dataclass(frozen=True)
class Specialist:
    """A specialist of the pool; the committee's own `number` replaces the name.

    `term` is the latest one; a specialist is drawn within a term alone.
    """

    id: str
    number: str
    field: str
    provincial: bool
    # The person in the staff register, `staffMembers/{id}`.
    member: str = ""
    term: Term | None = None

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
class Viewer:
    """Who reads an appraisal: a person of the staff register or not, and whether it is over."""

    member: str
    is_staff: bool
    is_concluded: bool


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


def first_term(law: Law, day: date) -> Term:
    """The term of a specialist who is appointed on a day."""
    years = law.count("specialist_term_years", day)
    return Term(day, birthday(day, years) - timedelta(days=1))


def next_term(specialist: Specialist, law: Law, day: date) -> Term:
    """A further term, from the end of the present one, or from today; raises TermRunning."""
    latest = specialist.term
    if latest is None or latest.last_day < day:
        return first_term(law, day)
    if latest.first_day > day:
        raise TermRunning(specialist=specialist.name, last=latest.last_day)
    years = law.count("specialist_term_years", day)
    first = latest.last_day + timedelta(days=1)
    return Term(first, birthday(first, years) - timedelta(days=1))


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
    seed: bytes,
) -> tuple[tuple[Specialist, ...], Finding]:
    """Draw a panel by a seed; `excluded` are names of specialists who withdraw or sat before.

    A size of 0 means the smallest. Raises PanelSizeWrong and PoolTooSmall.
    """
    value = law.on("panel_sizes", day)
    sizes = sorted(int(text) for text in value.value)
    size = size or sizes[0]
    if size not in sizes:
        raise PanelSizeWrong(field="panel_size", size=size, sizes=tuple(sizes))
    free = [specialist for specialist in pool if specialist.name not in excluded]
    if len(free) < size:
        raise PoolTooSmall(available=len(free), size=size)
    panel = drawn_by(seed, free)[:size]
    finding = Finding(
        provision_of(value),
        Outcome.MET,
        f"{size} specialists were drawn at random from {len(free)} who may sit on the panel.",
        f"从 {len(free)} 名可选专家中随机抽取 {size} 名组成专家组。",
        inputs=facts(pool=len(free), excluded=", ".join(sorted(excluded)), size=size),
        outputs=facts(panel=", ".join(member.name for member in panel)),
        parameters=(value.version,),
    )
    return panel, finding


@dataclass(frozen=True)
class Replacement:
    """A panel after a member stepped down: who stays, who could be drawn, and who sits now.

    Nobody sits if nobody was left to draw.
    """

    kept: tuple[Specialist, ...]
    free: tuple[Specialist, ...]
    panel: tuple[Specialist, ...]
    finding: Finding


def replace_member(
    panel: Sequence[Specialist],
    exclusion: Exclusion,
    pool: Collection[Specialist],
    excluded: Collection[str],
    day: date,
    *,
    seed: bytes,
) -> Replacement:
    """Draw for a member who steps down, by a seed that was committed to before; the others stay.

    `excluded` are names of specialists who may not sit.
    """
    kept = tuple(member for member in panel if member.name != exclusion.name)
    free = tuple(each for each in pool if each.name not in excluded and each not in kept)
    drawn = drawn_by(seed, free)[: len(panel) - len(kept)]
    text, text_zh = (
        (f"{drawn[0].name} was drawn in the place", f"抽取 {drawn[0].name} 递补")
        if drawn
        else ("nobody is left to draw, so the panel is released", "专家库中无人可递补, 专家组解散")
    )
    finding = Finding(
        RECUSAL.on(day),
        Outcome.MET,
        f"{exclusion.name} stepped down ({exclusion.code.name.lower().replace('_', ' ')}); {text}.",
        f"{exclusion.name} 自行回避; {text_zh}。",
        inputs=facts(specialist=exclusion.name, code=exclusion.code, pool=len(free)),
        outputs=facts(panel=", ".join(each.name for each in (*kept, *drawn)) if drawn else "none"),
    )
    return Replacement(kept, free, (*kept, *drawn) if drawn else (), finding)


@dataclass(frozen=True)
class Draw:
    """A draw on record: its seed, what was published of it before, who could sit, and who sits.

    `pool`, `panel` and `kept` are ids; `kept` are the members of the panel before who stayed when
    another one stepped down.
    """

    seed: bytes
    commitment: bytes
    pool: tuple[str, ...]
    size: int
    panel: tuple[str, ...]
    kept: tuple[str, ...] = ()

    @property
    def is_fair(self) -> bool:
        """Whether the seed is the one committed to, and draws this panel."""
        pool = [Specialist(each, "", "", provincial=False) for each in self.pool]
        drawn = drawn_by(self.seed, pool)[: self.size - len(self.kept)]
        panel = (*self.kept, *(specialist.id for specialist in drawn))
        return commitment_of(self.seed) == self.commitment and self.panel == panel


def commitment_of(seed: bytes) -> bytes:
    """What is published of a seed before the draw."""
    return sha256(seed).digest()


def drawn_by(seed: bytes, free: Collection[Specialist]) -> tuple[Specialist, ...]:
    """The specialists in the order in which a seed draws them."""
    return tuple(
        sorted(free, key=lambda specialist: sha256(seed + specialist.name.encode()).digest())
    )


def visible_opinions(
    opinions: Sequence[Opinion], panel: Sequence[Specialist], viewer: Viewer
) -> list[Opinion]:
    """The opinions that a viewer may read: each member gives its own before reading others'."""
    if viewer.is_concluded or (viewer.is_staff and len(opinions) == len(panel)):
        return list(opinions)
    own = {member.name for member in panel if viewer.member and member.member == viewer.member}
    return [opinion for opinion in opinions if opinion.specialist in own]


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
        raise OpinionsMissing(missing=tuple(missing))
    votes = [_vote(opinion_of[member.name], level, law, day) for member in panel]
    graded = _chosen(votes, {vote.specialist: severity(vote.grade) for vote in votes})
    cared = _chosen(votes, {vote.specialist: vote.care.value for vote in votes})
    rule = law.on("panel_majority", day)
    on_grade = _agreement(
        rule,
        "grade",
        "伤残等级",
        {vote.specialist: str(vote.grade) for vote in votes},
        (str(graded.grade), f"{graded.grade} 级" if graded.grade else "未达等级"),
    )
    on_care = _agreement(
        rule,
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
    rule: Value, what: str, what_zh: str, votes: Mapping[str, str], chosen: tuple[str, str]
) -> Finding:
    agreed = [name for name, vote in votes.items() if vote == chosen[0]]
    dissent = [f"{name}: {vote}" for name, vote in votes.items() if vote != chosen[0]]
    majority = len(agreed) > rule.decimal * len(votes)
    if majority:
        text = f"{len(agreed)} of {len(votes)} specialists agree on {what} {chosen[0]}."
        text_zh = f"{len(votes)} 名专家中 {len(agreed)} 名意见一致: {what_zh} {chosen[1]}。"
    else:
        text = f"No {what} has a majority; the median opinion, {chosen[0]}, counts (assumed rule)."
        text_zh = f"{what_zh}无多数意见, 取中位意见 {chosen[1]} (假定规则)。"
    return Finding(
        provision_of(rule) if majority else MEDIAN,
        Outcome.MET if majority else Outcome.CALCULATED,
        text,
        text_zh,
        inputs=facts(opinions=", ".join(f"{name}: {vote}" for name, vote in votes.items())),
        outputs=facts(decision=chosen[0], dissent=", ".join(dissent) or "none"),
        parameters=(rule.version,) if majority else (),
    )
