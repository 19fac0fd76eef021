"""Applications for an appraisal (申请): who may apply for which, and what is missing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import date, datetime

from services.grading.domain import times
from services.grading.domain.appraisals import (
    LIFECYCLE,
    Applicant,
    Application,
    Appraisal,
    Cause,
    Injury,
    Recipient,
    Service,
    State,
)
from services.grading.domain.law import APPLICATION, WITHDRAWAL, provision_of
from services.grading.domain.problems import (
    AgencyReviewsOnly,
    AlreadyAppraised,
    ApplicantNotCaller,
    DocumentsNotOverdue,
    DocumentsRequestedBefore,
    DocumentsRequestedLate,
    InabilityMissing,
    NothingToAppraise,
    NotYourApplication,
    OtherAppraisalNewer,
    PanelDrawn,
)
from services.grading.domain.times import Days
from services.kernel.law import Finding, Outcome, facts
from services.kernel.problems import Malformed
from services.kernel.scheme import AppraisalLevel

# On whom the conclusion that an applicant contests was served.
RECIPIENTS = {
    Applicant.WORKER: Recipient.WORKER,
    Applicant.NEXT_OF_KIN: Recipient.WORKER,
    Applicant.PLATFORM: Recipient.PLATFORM,
}
APPLICANTS_ZH = {
    Applicant.WORKER: "本人",
    Applicant.NEXT_OF_KIN: "近亲属",
    Applicant.PLATFORM: "平台企业",
    Applicant.AGENCY: "经办机构",
}


def require_applicant(application: Application, allowed: Collection[Applicant]) -> None:
    """Refuse an application that the caller may not make; raises ApplicantNotCaller."""
    if application.applicant not in allowed:
        names = tuple(applicant for applicant in Applicant if applicant in allowed)
        raise ApplicantNotCaller(field="applicant", applicant=application.applicant, allowed=names)


def open_first(
    appraisal_id: str,
    injury: Injury,
    application: Application,
    *,
    concluded: Appraisal | None,
    now: datetime,
    days: Days,
) -> Appraisal:
    """The first appraisal of a confirmed injury; `concluded` is its newest conclusion.

    Raises NothingToAppraise, AlreadyAppraised, AgencyReviewsOnly and InabilityMissing.
    """
    if not injury.appraisable:
        raise NothingToAppraise(claim=injury.claim)
    if concluded is not None:
        raise AlreadyAppraised(field="level", concluded=concluded.name)
    return _opened(
        appraisal_id, injury, AppraisalLevel.FIRST, application, now=now, days=days, findings=()
    )


def open_next(
    appraisal_id: str,
    injury: Injury,
    level: AppraisalLevel,
    application: Application,
    *,
    previous: Appraisal,
    concluded: Appraisal | None,
    services: Collection[Service],
    now: datetime,
    days: Days,
) -> Appraisal:
    """A re-appraisal or a review of the newest conclusion, with the services of that one.

    Raises NothingToAppraise, OtherAppraisalNewer, AgencyReviewsOnly, InabilityMissing, and as
    `times.require_may_follow` does.
    """
    if not injury.appraisable:
        raise NothingToAppraise(claim=injury.claim)
    if concluded is not None and concluded.name != previous.name:
        raise OtherAppraisalNewer(field="previous", newest=concluded.name)
    recipient = RECIPIENTS.get(application.applicant)
    served = next((each.day for each in services if each.recipient is recipient), None)
    _require_agency_reviews(level, application)
    finding = times.require_may_follow(previous, level, application.day, served, days)
    opened = _opened(
        appraisal_id, injury, level, application, now=now, days=days, findings=(finding,)
    )
    return replace(opened, previous=previous.name)


def request_documents(appraisal: Appraisal, until: date, days: Days) -> Appraisal:
    """Ask for all missing documents, once and within some working days of the application.

    Raises DocumentsRequestedBefore, DocumentsRequestedLate, and Malformed for a day that is not
    later.
    """
    state = LIFECYCLE.after(appraisal.state, "request_documents")
    if appraisal.documents_date is not None:
        raise DocumentsRequestedBefore(until=appraisal.documents_date)
    value = days.value("documents_request_days")
    last = times.documents_request_day(appraisal.application_date, days)
    if days.day > last:
        raise DocumentsRequestedLate(last=last)
    if until <= days.day:
        raise Malformed.of(
            "documents_date",
            "DAY_TOO_EARLY",
            "write a day after {day}",
            "请填写晚于 {day} 的日期",
            day=days.day,
        )
    finding = Finding(
        provision_of(value),
        Outcome.NOT_MET,
        f"Documents are missing; they have to come by {until}, or the application is abandoned.",
        f"材料不齐, 一次性告知补正; 应于 {until} 前补齐, 无正当理由逾期视为放弃申请。",
        inputs=facts(application_date=appraisal.application_date, request_date=days.day),
        outputs=facts(last_day=last, documents_date=until),
        parameters=(value.version,),
    )
    return replace(
        appraisal,
        state=state,
        documents_date=until,
        findings=(*appraisal.findings, finding),
        revision=appraisal.revision + 1,
    )


def record_documents(appraisal: Appraisal) -> Appraisal:
    """The missing documents have come; the time limit has run on meanwhile."""
    state = LIFECYCLE.after(appraisal.state, "record_documents")
    return replace(appraisal, state=state, revision=appraisal.revision + 1)


def abandon(appraisal: Appraisal, days: Days) -> Appraisal:
    """End an application whose documents did not come; raises DocumentsNotOverdue."""
    state = LIFECYCLE.after(appraisal.state, "abandon")
    until = appraisal.documents_date
    assert until is not None
    if days.day <= until:
        raise DocumentsNotOverdue(until=until)
    value = days.value("documents_request_days")
    finding = Finding(
        provision_of(value),
        Outcome.MET,
        f"The missing documents did not come by {until}: the application is abandoned.",
        f"至 {until} 未补齐材料, 视为放弃鉴定申请。",
        inputs=facts(documents_date=until, day=days.day),
        parameters=(value.version,),
    )
    return replace(
        appraisal,
        state=state,
        cause=Cause.APPLICATION_ABANDONED,
        findings=(*appraisal.findings, finding),
        revision=appraisal.revision + 1,
    )


def withdraw(appraisal: Appraisal, allowed: Collection[Applicant], days: Days) -> Appraisal:
    """End an application that its applicant withdraws; `allowed` is as whom the caller applies.

    Once a panel is drawn, its members are known: whoever could withdraw then and apply again would
    choose the panel. Raises NotYourApplication and PanelDrawn.
    """
    if appraisal.applicant not in allowed:
        raise NotYourApplication(applicant=appraisal.applicant)
    if appraisal.state is State.PANEL_DRAWN:
        raise PanelDrawn(appraisal=appraisal.name)
    state = LIFECYCLE.after(appraisal.state, "withdraw")
    who = appraisal.applicant.name.lower().replace("_", " ")
    finding = Finding(
        WITHDRAWAL.on(days.day),
        Outcome.MET,
        f"The {who} withdrew the application on {days.day}; a new one can be made.",
        f"{APPLICANTS_ZH[appraisal.applicant]}于 {days.day} 撤回鉴定申请; 可以重新申请。",
        inputs=facts(applicant=appraisal.applicant, withdraw_date=days.day),
    )
    return replace(
        appraisal,
        state=state,
        cause=Cause.APPLICATION_WITHDRAWN,
        findings=(*appraisal.findings, finding),
        revision=appraisal.revision + 1,
    )


def _opened(
    appraisal_id: str,
    injury: Injury,
    level: AppraisalLevel,
    application: Application,
    *,
    now: datetime,
    days: Days,
    findings: tuple[Finding, ...],
) -> Appraisal:
    _require_agency_reviews(level, application)
    if application.applicant is Applicant.NEXT_OF_KIN and not application.inability:
        raise InabilityMissing(field="inability")
    if injury.accident_date is not None and application.day < injury.accident_date:
        raise Malformed.of(
            "application_date",
            "BEFORE_ACCIDENT",
            "write {first}, the day of the accident, or later",
            "请填写不早于事故日期 {first} 的日期",
            first=injury.accident_date,
        )
    due = times.conclusion_due(application.day, days)
    return Appraisal(
        id=appraisal_id,
        claim=injury.claim,
        level=level,
        state=State.OPENED,
        due_date=due,
        create_time=now,
        applicant=application.applicant,
        application_date=application.day,
        findings=(*findings, _application_finding(application, due, days)),
    )


def _require_agency_reviews(level: AppraisalLevel, application: Application) -> None:
    """The agency applies for a review alone."""
    if application.applicant is Applicant.AGENCY and level is not AppraisalLevel.REVIEW:
        raise AgencyReviewsOnly(field="applicant", level=level)


def _application_finding(application: Application, due: date, days: Days) -> Finding:
    """Who applied; the days for the conclusion run from the receipt of the application."""
    who = application.applicant.name.lower().replace("_", " ")
    kin = application.applicant is Applicant.NEXT_OF_KIN
    text = ", because the worker is unable to" if kin else ""
    text_zh = " (本人不能申请)" if kin else ""
    return Finding(
        APPLICATION.on(days.day),
        Outcome.MET,
        f"The {who} applied on {application.day}{text}; the conclusion is due by {due}.",
        f"{APPLICANTS_ZH[application.applicant]}于 {application.day} 提出申请{text_zh}; "
        f"办理期限至 {due}。",
        inputs=facts(applicant=application.applicant, application_date=application.day),
        outputs=facts(due_date=due),
        parameters=(days.value("conclusion_days").version,),
    )
