"""The events of grading, and how a conclusion reads: compared whole."""

from __future__ import annotations

from datetime import UTC, date, datetime

from google.protobuf import text_format

from services.cli.explain import Language, lines
from services.grading import events
from services.grading.domain import applications, conclusions, procedure
from services.grading.domain.appraisals import Applicant, Application, Appraisal, Cause, Injury
from services.grading.domain.care import CareItem
from services.grading.domain.grades import Impairment
from services.grading.domain.law import law_in
from services.grading.domain.panels import Opinion, Specialist, draw_panel
from services.grading.domain.times import Days
from services.runtime.base.holidays import work_calendar
from services.runtime.rpc.wire import findings_to_wire
from tests.support.golden import check_golden

DAY = date(2025, 9, 1)
INJURY = Injury("claims/c1", 2, appraisable=True, accident_date=date(2025, 7, 10))


def test_a_conclusion_is_published_as_before() -> None:
    message = events.appraisal_concluded(a_conclusion())

    check_golden("grading/appraisal_concluded.txtpb", text_format.MessageToString(message))


def test_a_revocation_is_published_as_before() -> None:
    revoked = conclusions.revoke(a_conclusion(), 3, followers=(), day=DAY)
    message = events.appraisal_revoked(revoked, DAY)

    check_golden("grading/appraisal_revoked.txtpb", text_format.MessageToString(message))


def test_an_end_without_a_conclusion_is_published_as_before() -> None:
    message = events.appraisal_ended(
        procedure.end(an_appraisal(), Cause.DETERMINATION_WITHDRAWN), DAY
    )

    check_golden("grading/appraisal_ended.txtpb", text_format.MessageToString(message))


def test_a_conclusion_reads_as_before() -> None:
    findings = findings_to_wire(a_conclusion().findings)
    shown = [
        line
        for number, finding in enumerate(findings, start=1)
        for line in lines(finding, number, Language.BOTH)
    ]

    check_golden("grading/conclusion.txt", "\n".join(shown) + "\n")


def an_appraisal() -> Appraisal:
    application = Application(Applicant.WORKER, DAY)
    now = datetime(2025, 9, 1, tzinfo=UTC)
    return applications.open_first("a1", INJURY, application, concluded=None, now=now, days=days())


def a_conclusion() -> Appraisal:
    """A thigh bone nailed, a kneecap fixed, an old eye injury; one of three grades it worse."""
    pool = [Specialist(f"s{n}", f"A{n}", "orthopaedics", provincial=False) for n in range(4)]
    panel, finding = draw_panel(pool, 3, {"specialists/s3"}, days().law, DAY, seed=b"1")
    drawn = procedure.draw_panel(an_appraisal(), finding, DAY)
    old_eye = Impairment("6.27", pre_existing=True, grade_of_injury_alone=10)
    views = [
        (Impairment("9.23"), Impairment("9.24"), old_eye),
        (Impairment("9.23"), Impairment(family="SCARS", measurements=(("area", "5.5"),))),
        (Impairment("8.13"), Impairment("8.14")),
    ]
    opinions = [
        Opinion(member.name, items, frozenset({CareItem.MOVING_ABOUT}))
        for member, items in zip(panel, views, strict=True)
    ]
    return conclusions.conclude(
        drawn, 2, injury=INJURY, panel=panel, opinions=opinions, days=days()
    )


def days() -> Days:
    return Days(law_in("440100"), DAY, work_calendar())
