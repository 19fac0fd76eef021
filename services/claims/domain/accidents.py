"""Which filings are about one accident (事故): one accident of one person has one claim.

The rules join what is clearly one accident. What is near in time and not clearly the same is a
question for a person, and nothing is decided on the filing until it is answered.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from services.claims.domain.claim import Claim, ClaimState
from services.claims.domain.law import ONE_ACCIDENT
from services.claims.domain.order_records import OrderEvidence, Standing, standings, window_terms
from services.claims.domain.problems import NearClaimsChanged
from services.kernel.law import Finding, Outcome, facts
from services.kernel.lawbook import Law
from services.kernel.names import id_from, name
from services.kernel.periods import civil_day
from services.kernel.problems import Malformed


class AccidentAnswer(Enum):
    """A person's answer on two filings; numbers as in the proto."""

    SAME = 1
    DISTINCT = 2


class AnswerCode(Enum):
    """Why filings are about one accident or about two; numbers as in the proto."""

    OTHER_TIME_REPORTED = 1
    SAME_INJURY = 2
    FILED_TWICE = 3
    OTHER_PLACE = 4
    OTHER_INJURY = 5
    TWO_EVENTS = 6


CODES_OF_SAME = frozenset(
    {AnswerCode.OTHER_TIME_REPORTED, AnswerCode.SAME_INJURY, AnswerCode.FILED_TWICE}
)


@dataclass(frozen=True)
class Reasons:
    """Why a person answered as they did: a code, and words."""

    code: AnswerCode
    text: str


@dataclass(frozen=True)
class Window:
    """The time around an accident: two accidents are near if their windows overlap."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Accident:
    """An accident of one person as one filing reports it.

    It stands, or it is part of the standing accident `merged_into` that it turned out to be: its
    moment is then a moment of that accident. `number` is 0, or higher where a person found it
    distinct from others near it; standing accidents with the same number never overlap.
    """

    id: str
    worker: int
    # The claim of the filing, and the claim about the standing accident.
    filing_id: str
    claim_id: str
    accident_time: datetime
    # The division code of the place of injury.
    place_of_injury: str
    window: Window
    create_time: datetime
    number: int = 0
    merged_into: str = ""

    @property
    def name(self) -> str:
        """`accidents/{id}`."""
        return name("accidents", self.id)

    @property
    def standing_id(self) -> str:
        """The id of the standing accident."""
        return self.merged_into or self.id


@dataclass(frozen=True)
class Placement:
    """Where a filing belongs: to an existing accident, to a new one, or to a person's answer."""

    joined: Accident | None
    questioned: tuple[Accident, ...]


@dataclass(frozen=True)
class FilingAnswer:
    """An answer on record."""

    claim_id: str
    number: int
    answer: AccidentAnswer
    # The id of the claim about the same accident; empty for DISTINCT.
    other_claim: str
    reasons: Reasons
    adjudicator: str
    create_time: datetime


@dataclass(frozen=True)
class Contest:
    """What a party said (异议) against the question on a filing or its last answer."""

    claim_id: str
    # How many answers there were.
    answer_count: int
    reason: str
    create_time: datetime


@dataclass(frozen=True)
class Filing:
    """One party's report (申请) with what was said about it."""

    claim: Claim
    description: str
    answers: tuple[FilingAnswer, ...]
    contests: tuple[Contest, ...]

    @property
    def is_open(self) -> bool:
        """Whether it waits for an answer: pending, or contested since the last one."""
        contested = any(contest.answer_count == len(self.answers) for contest in self.contests)
        return contested or self.claim.state is ClaimState.PENDING

    @property
    def can_be_contested(self) -> bool:
        """Whether a rule or a person has said, or has to say, what it is part of."""
        return self.claim.state in (ClaimState.PENDING, ClaimState.MERGED) or bool(self.answers)


def window_of(law: Law, moment: datetime, where: str) -> Window:
    """The window around an accident; half of the hours before it, half after."""
    hours = law.count("accident_window_hours", civil_day(moment), where)
    half = timedelta(hours=hours) / 2
    return Window(moment - half, moment + half)


def place_filing(
    claim: Claim, near: Sequence[Accident], orders: Sequence[OrderEvidence], law: Law
) -> Placement:
    """Where a filing belongs among the person's accidents near it in time.

    It joins the one accident that is clearly the same. With none near it, it opens an accident.
    Anything else is for a person.
    """
    same = [accident for accident in near if is_same(accident, claim, orders, law)]
    if len({accident.standing_id for accident in same}) == 1:
        return Placement(same[0], ())
    return Placement(None, tuple(near))


def is_same(accident: Accident, claim: Claim, orders: Sequence[OrderEvidence], law: Law) -> bool:
    """Whether a filing is clearly about an accident: minutes apart, or within the same order."""
    day, where = claim.accident_day, claim.place_of_injury
    minutes = law.count("accident_join_minutes", day, where)
    if abs(accident.accident_time - claim.accident_time) <= timedelta(minutes=minutes):
        return True
    terms = window_terms(law, claim.accident_time, where)

    def under_way(moment: datetime) -> set[OrderEvidence]:
        return {
            order
            for order, standing in standings(orders, moment, terms).items()
            if standing is Standing.UNDER_WAY
        }

    return bool(under_way(claim.accident_time) & under_way(accident.accident_time))


def belongs_to(
    filing: Filing, accident: Accident, other: Accident, orders: Sequence[OrderEvidence], law: Law
) -> bool:
    """Whether a filing that is part of `other` is about an accident that was merged into it.

    What a person said of the filing decides, then what is clearly one accident and not the other.
    """
    if filing.answers:
        return filing.answers[-1].other_claim == accident.claim_id
    return is_same(accident, filing.claim, orders, law) and not is_same(
        other, filing.claim, orders, law
    )


def accident_of(
    claim: Claim, law: Law, now: datetime, *, number: int = 0, part_of: Accident | None = None
) -> Accident:
    """The accident as a filing reports it: standing, or part of one that stands."""
    return Accident(
        id=id_from(claim.id, "accidents"),
        worker=claim.worker,
        filing_id=claim.id,
        claim_id=part_of.claim_id if part_of else claim.id,
        accident_time=claim.accident_time,
        place_of_injury=claim.place_of_injury,
        window=window_of(law, claim.accident_time, claim.place_of_injury),
        create_time=now,
        number=number,
        merged_into=part_of.standing_id if part_of else "",
    )


def next_number(near: Sequence[Accident]) -> int:
    """The number of an accident that a person found distinct from those near it."""
    return max((accident.number + 1 for accident in near), default=0)


def question(claim: Claim, law: Law) -> Finding:
    """What the party is shown while its filing waits for an answer."""
    value = law.on("accident_window_hours", claim.accident_day, claim.place_of_injury)
    return Finding(
        ONE_ACCIDENT,
        Outcome.UNCLEAR,
        (
            f"The person has another claim about an accident within {value.value} hours of this "
            "one. A person decides whether it is the same accident; until then nothing is decided "
            "on this filing. Contest it with your reasons if you disagree."
        ),
        (
            f"该人员在 {value.value} 小时内另有一起事故的申请。是否为同一事故由经办人员判断, "
            "判断前本申请不作结论。如有异议, 请说明理由提出。"
        ),
        facts(question="same_accident"),
        parameters=(value.version,),
    )


def require_fitting_code(answer: AccidentAnswer, code: AnswerCode) -> None:
    """Refuse a code that belongs to the other answer."""
    if (code in CODES_OF_SAME) != (answer is AccidentAnswer.SAME):
        fitting = tuple(
            member
            for member in AnswerCode
            if (member in CODES_OF_SAME) == (answer is AccidentAnswer.SAME)
        )
        raise Malformed.of(
            "code",
            "CODE_OF_OTHER_ANSWER",
            "choose one of {choices} for {answer}",
            "{answer}请从以下各项中选择: {choices}",
            choices=fitting,
            answer=answer,
        )


def require_one_person(surviving: Claim, merged: Claim) -> None:
    """Refuse to make one accident of two persons, or of one claim."""
    if surviving.id == merged.id:
        raise Malformed.of(
            "merged_claim",
            "SURVIVING_CLAIM",
            "it is the surviving claim; name another one",
            "即为保留的申请; 请填写另一申请",
        )
    if surviving.worker != merged.worker:
        raise Malformed.of(
            "merged_claim",
            "OF_ANOTHER_PERSON",
            "it is of another person; one accident is of one person",
            "属于其他人员; 一起事故只属于一人",
        )


def require_all_read(claim: Claim, near: Sequence[Accident], read: Collection[str]) -> None:
    """Refuse DISTINCT unless the claims that were read are those near the filing now."""
    now_near = {accident.claim_id for accident in near}
    if now_near != set(read):
        names = tuple(name("claims", claim_id) for claim_id in sorted(now_near))
        raise NearClaimsChanged(claim=claim.name, near=names)


def claim_of_same(near: Sequence[Accident], claim_id: str) -> str:
    """The id of the claim that SAME means: the one that is named, or the only one near."""
    if claim_id:
        return claim_id
    claim_ids = sorted({accident.claim_id for accident in near})
    if len(claim_ids) != 1:
        raise Malformed.of(
            "claim",
            "SAME_CLAIM_NEEDED",
            "name the claim about the same accident; near it: {near}",
            "请填写同一事故的申请; 时间相近的有: {near}",
            near=tuple(name("claims", near_id) for near_id in claim_ids),
        )
    return claim_ids[0]
