"""What a determination is decided on: the claim, its evidence, the enquiry and judgements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from services.claims.domain.claim import Claim
from services.claims.domain.evidence import DocumentKind
from services.claims.domain.order_records import OrderEvidence, WindowTerms, window_terms
from services.claims.domain.problems import OpenFindings
from services.claims.domain.questions import question_label
from services.kernel.law import Finding, Outcome, ParameterVersion, Provision, facts
from services.kernel.lawbook import Law
from services.kernel.problems import GivenTwice, Malformed
from services.kernel.scheme import Industry


class Exclusion(Enum):
    """What excludes a claim (不得认定的情形); numbers as in the proto."""

    INTENTIONAL_CRIME = 1
    INTOXICATION = 2
    SELF_HARM = 3


@dataclass(frozen=True)
class Enquiry:
    """Facts that a person has established (调查核实)."""

    harm_established: bool = False
    exclusions: frozenset[Exclusion] = frozenset()
    # In mg per 100 ml; 0 if none was measured.
    blood_alcohol: int = 0
    disability_expected: bool = False
    first_diagnosis_time: datetime | None = None
    death_time: datetime | None = None
    spot_or_direct: bool = False
    traffic_mainly_own_fault: bool = False
    travel_required: bool = False
    order_records_withheld: bool = False
    # `platforms/{credit code}/orders/{order_no}`.
    served_order: str = ""
    pooling_area: str = ""
    industry: Industry | None = None
    labour_relationship: bool = False


@dataclass(frozen=True)
class Judgement:
    """The adjudicator's answer to one question that the rules left open."""

    question: str
    met: bool
    reason: str


@dataclass(frozen=True)
class Case:
    """All that a determination is decided on."""

    claim: Claim
    orders: tuple[OrderEvidence, ...]
    documents: Mapping[DocumentKind, int]
    enquiry: Enquiry
    law: Law
    # The further filings that are part of the claim, each with the moment its party reports.
    filings: tuple[Claim, ...] = ()

    @property
    def terms(self) -> WindowTerms:
        """The parameters of the order window for this accident."""
        return window_terms(self.law, self.claim.accident_time, self.claim.place_of_injury)

    def has(self, kind: DocumentKind) -> bool:
        """Whether a document of a kind is in evidence."""
        return self.documents.get(kind, 0) > 0


class Weight(Enum):
    """What an answer does to the determination."""

    NEEDED = "needed"  # not met refuses the claim
    BAR = "bar"  # met refuses the claim
    MARK = "mark"  # kept for the record


@dataclass(frozen=True)
class Answer:
    """One question of the law, answered: its key, its weight, its finding."""

    question: str
    weight: Weight
    finding: Finding
    # Of a claim that may be met in several ways: the way that this answer belongs to.
    path: str = ""

    @property
    def is_open(self) -> bool:
        """Whether a person has to answer it."""
        return self.finding.outcome is Outcome.UNCLEAR

    @property
    def refuses(self) -> bool:
        """Whether it refuses the claim."""
        refusing = {Weight.NEEDED: Outcome.NOT_MET, Weight.BAR: Outcome.MET}
        return refusing.get(self.weight) is self.finding.outcome

    def judged(self, judgement: Judgement) -> Answer:
        """The answer as a person has given it."""
        outcome = Outcome.MET if judgement.met else Outcome.NOT_MET
        word, word_zh = ("met", "成立") if judgement.met else ("not met", "不成立")
        finding = replace(
            self.finding,
            outcome=outcome,
            text=f"{self.finding.text} The adjudicator judged: {word}.",
            text_zh=f"{self.finding.text_zh}经办人员判断: {word_zh}。",
            outputs=(*self.finding.outputs, *facts(decided_by="adjudicator")),
        )
        return replace(self, finding=finding)


def answer(
    question: str,
    provision: Provision,
    outcome: Outcome,
    text: tuple[str, str],
    *,
    weight: Weight = Weight.NEEDED,
    path: str = "",
    inputs: tuple[tuple[str, str], ...] = (),
    outputs: tuple[tuple[str, str], ...] = (),
    versions: tuple[ParameterVersion, ...] = (),
) -> Answer:
    """An answer with its finding; `text` is the sentence in English and in Chinese."""
    inputs = (*facts(question=question), *inputs)
    finding = Finding(provision, outcome, text[0], text[1], inputs, outputs, versions)
    return Answer(question, weight, finding, path)


def met(holds: object) -> Outcome:
    """MET or NOT_MET."""
    return Outcome.MET if holds else Outcome.NOT_MET


def with_judgements(
    answers: tuple[Answer, ...], judgements: tuple[Judgement, ...]
) -> tuple[Answer, ...]:
    """The answers with the open ones judged; raises OpenFindings for those left open.

    A judgement on what a rule has decided, or without a reason, is refused as Malformed.
    """
    relevant = judged_answers(answers, judgements)
    if unanswered := open_questions(relevant):
        raise OpenFindings(findings=tuple(map(question_label, unanswered)))
    return relevant


def open_questions(answers: Iterable[Answer]) -> tuple[str, ...]:
    """The questions that a person has to answer."""
    return tuple(current.question for current in answers if current.is_open)


def judged_answers(
    answers: tuple[Answer, ...], judgements: tuple[Judgement, ...]
) -> tuple[Answer, ...]:
    """The answers with the open ones judged as far as there are judgements.

    Of a claim that may be met in several ways, what no longer matters is left out.
    """
    judgement_on = {judgement.question: judgement for judgement in judgements}
    if len(judgement_on) != len(judgements):
        raise GivenTwice.of("judgements")
    still_open = [current.question for current in answers if current.is_open]
    for judgement in judgements:
        if judgement.question not in still_open:
            raise Malformed.of(
                "judgements",
                "NOT_OPEN",
                "{question} is not open: the rules decide it; leave it out",
                "{question}已由规则认定, 无须判断; 请删除",
                question=question_label(judgement.question[:60]),
            )
        if not judgement.reason.strip():
            raise Malformed.of(
                "judgements",
                "REASON_MISSING",
                "give the reason for {question}",
                "请说明{question}的理由",
                question=question_label(judgement.question),
            )
    judged = tuple(
        current.judged(judgement_on[current.question])
        if current.is_open and current.question in judgement_on
        else current
        for current in answers
    )
    return tuple(current for current in judged if not _is_moot(current, judged))


def is_refused(answers: Sequence[Answer]) -> bool:
    """Whether what is needed fails, a bar applies, or every way to meet the claim fails."""
    if any(current.refuses for current in answers if not current.path):
        return True
    paths = {current.path for current in answers if current.path}
    return bool(paths) and not any(_is_met(path, answers) for path in paths)


def _is_moot(current: Answer, answers: Sequence[Answer]) -> bool:
    """Whether an open answer of a path cannot change the outcome any more."""
    if not current.path or not current.is_open:
        return False
    if any(other.refuses for other in answers if other.path == current.path):
        return True
    others = {other.path for other in answers if other.path} - {current.path}
    return any(_is_met(path, answers) for path in others)


def _is_met(path: str, answers: Sequence[Answer]) -> bool:
    return all(other.finding.outcome is Outcome.MET for other in answers if other.path == path)
