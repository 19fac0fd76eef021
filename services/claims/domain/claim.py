"""What a claim is, and which changes its state allows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import Enum

from services.claims.domain.time_limits import StepClock
from services.kernel.identifiers import is_division
from services.kernel.lifecycle import Lifecycle
from services.kernel.names import name
from services.kernel.periods import civil_day
from services.kernel.problems import Kind, Malformed, Problem


class ClaimState(Enum):
    """The states of a claim; numbers as in the proto."""

    FILED = 1
    EVIDENCE_REQUESTED = 2
    ACCEPTED = 3
    STAYED = 4
    DETERMINED = 5


class ClaimantKind(Enum):
    """Who asks (申请人)."""

    WORKER = 1
    PLATFORM = 2
    NEXT_OF_KIN = 3
    TRADE_UNION = 4


class Situation(Enum):
    """The six situations (六种情形)."""

    ORDER_EXECUTION = 1
    VIOLENCE = 2
    REQUIRED_TRAVEL = 3
    MISSING = 4
    SUDDEN_ILLNESS = 5
    RESCUE = 6


class Industry(Enum):
    """The industries of the scheme (行业)."""

    RIDE_HAILING = 1
    INSTANT_DELIVERY = 2
    SAME_CITY_FREIGHT = 3


class DocumentKind(Enum):
    """Kinds of document (证据材料)."""

    DIAGNOSIS = 1
    INVOICE = 2
    TRAFFIC_CERTIFICATE = 3
    INTOXICATION_REPORT = 4
    JUDGMENT = 5
    DEATH_CERTIFICATE = 6
    KINSHIP_PROOF = 7
    OTHER = 8


class Relation(Enum):
    """Relations of survivors to the deceased."""

    SPOUSE = 1
    CHILD = 2
    PARENT = 3
    GRANDPARENT = 4
    GRANDCHILD = 5
    SIBLING = 6


_F, _E, _A, _S, _D = ClaimState

LIFECYCLE = Lifecycle(
    {
        "request_evidence": {_F: _E},
        "add_evidence": {_F: _F, _E: _F, _A: _A, _S: _S},
        "accept": {_F: _A, _E: _A},
        "record_death": {_F: _F, _E: _E, _A: _A, _S: _S},
        "stay": {_A: _S},
        "resume": {_S: _A},
        "determine": {_A: _D},
        "revoke": {_D: _A},
    }
)


class WorkerUnknown(Problem):
    """Nobody of this name is enrolled, or not with the platform that asks."""

    kind, reason = Kind.NOT_FOUND, "WORKER_UNKNOWN"
    message = "There is no enrolled worker {worker}; look the worker up in enrolment and try again."
    message_zh = "未找到参保人员 {worker}; 请先在参保登记中核对后重试。"


class ClaimExists(Problem):
    """The same accident of the same worker has a claim already."""

    kind, reason = Kind.DIFFERENT_EXISTS, "CLAIM_EXISTS"
    message = "This accident has a claim already, {claim}; add evidence to it instead."
    message_zh = "该事故已有申请 {claim}; 请在该申请中补充材料。"


class ClaimChanged(Problem):
    """The claim is not what the adjudicator has read."""

    kind, reason = Kind.RACED, "CLAIM_CHANGED"
    message = (
        "{claim} has revision {held}, not {read}: it or its evidence changed; "
        "read it again and decide on what it says now."
    )
    message_zh = "{claim} 已变更为第 {held} 版(您阅读的是第 {read} 版); 请重新阅卷后再作结论。"


class EvidenceRequestedOnce(Problem):
    """All that is missing is asked for once, in writing (一次性书面告知)."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "EVIDENCE_REQUESTED_ONCE"
    message = "{claim} had its one evidence request; accept it on what is there, or stay it."
    message_zh = "{claim} 已作过一次性补正告知; 请按现有材料受理或中止。"


class AlreadyServed(Problem):
    """A conclusion is served once."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "ALREADY_SERVED"
    message = "The conclusion on {claim} was served on {day}; a service is recorded once."
    message_zh = "{claim} 的结论书已于 {day} 送达; 不得重复登记。"


class NotDetermined(Problem):
    """Only a conclusion that stands can be served."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "NOT_DETERMINED"
    message = "{claim} has no determination that stands; determine it first."
    message_zh = "{claim} 尚无有效结论; 请先作出结论。"


@dataclass(frozen=True)
class Survivor:
    """Someone the deceased supported (供养亲属)."""

    survivor_id: str
    relation: Relation
    birth_date: date
    totally_disabled: bool = False
    alone: bool = False
    male: bool = False


@dataclass(frozen=True)
class Enrolment:
    """A platform the worker is enrolled with, and since when."""

    platform: str
    enrol_date: date


@dataclass(frozen=True)
class Claim:
    """An application for benefits, which includes the confirmation of the injury."""

    claim_id: str
    claimant_kind: ClaimantKind
    worker: int
    accident_time: datetime
    place_of_injury: str
    situation: Situation
    enrolments: tuple[Enrolment, ...]
    clock: StepClock | None
    create_time: datetime
    filed_late: bool = False
    revision: int = 1
    state: ClaimState = ClaimState.FILED
    death_date: date | None = None
    survivors: tuple[Survivor, ...] = ()
    accident_report: str = ""
    pooling_area: str = ""
    industry: Industry | None = None
    requested_evidence: tuple[str, ...] = ()
    reply: StepClock | None = None

    @property
    def name(self) -> str:
        """`claims/{id}`."""
        return name("claims", self.claim_id)

    @property
    def running(self) -> StepClock | None:
        """The clock whose time is due next: the claimant's reply before the authority's step."""
        return self.reply or self.clock

    @property
    def accident_day(self) -> date:
        """The day of the accident in Asia/Shanghai."""
        return civil_day(self.accident_time)

    @property
    def platforms(self) -> tuple[str, ...]:
        """The credit codes of the platforms that may see the claim."""
        return tuple(sorted({enrolment.platform for enrolment in self.enrolments}))

    def after(self, event: str) -> Claim:
        """The claim in its next state, one revision on; raises TransitionNotAllowed."""
        state = LIFECYCLE.after(self.state, event)
        return replace(self, state=state, revision=self.revision + 1)


@dataclass(frozen=True)
class AccidentReport:
    """A first word of an accident (一键报案)."""

    report_id: str
    worker: int
    accident_time: datetime
    place_of_injury: str
    platforms: tuple[str, ...]
    reported_late: bool
    create_time: datetime

    @property
    def name(self) -> str:
        """`accidentReports/{id}`."""
        return name("accidentReports", self.report_id)


@dataclass(frozen=True)
class Document:
    """A document in a claim; the file itself stays with the authority's archive."""

    claim_id: str
    document_id: str
    kind: DocumentKind
    content_hash: bytes
    create_time: datetime
    title: str = ""

    @property
    def name(self) -> str:
        """`claims/{id}/evidence/{id}`."""
        return name("claims", self.claim_id, "evidence", self.document_id)


SURVIVORS_MAX = 30


def check_facts(
    accident_time: datetime, place: str, death_date: date | None, survivors: int, now: datetime
) -> None:
    """Refuse what cannot be: an accident to come, a death before it, survivors of the living."""
    if accident_time > now:
        raise Malformed.of("accident_time", "lies in the future; check day and time zone")
    if not is_division(place):
        raise Malformed.of("place_of_injury", "write a division code of six digits, as 440106")
    if death_date is not None and not civil_day(accident_time) <= death_date <= civil_day(now):
        raise Malformed.of("death_date", "lies before the accident or in the future")
    if survivors and death_date is None:
        raise Malformed.of("survivors", "belong to a claim with a day of death; give death_date")
    if survivors > SURVIVORS_MAX:
        raise Malformed.of("survivors", f"name at most {SURVIVORS_MAX}")
