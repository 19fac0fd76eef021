"""Cases of applications that are withdrawn, and of panels whose members change or adjourn."""

from __future__ import annotations

from datetime import date
from typing import Any

from services.grading.domain import applications, panels, procedure
from services.grading.domain.appraisals import Applicant, State
from services.grading.domain.panels import Exclusion, ExclusionCode
from tests.rules.grading.case_values import a_specialist, an_appraisal, provisions, the_days


def of_withdrawal(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """An application that somebody withdraws on the day."""
    appraisal = an_appraisal(
        state=State[facts.get("state", "OPENED")], applicant=Applicant[facts["applicant"]]
    )
    allowed = {Applicant[name] for name in facts["allowed"]}
    withdrawn = applications.withdraw(appraisal, allowed, the_days(day))
    return {
        "state": withdrawn.state.name,
        "cause": withdrawn.cause.name if withdrawn.cause else "",
        "provisions": provisions(withdrawn.findings),
    }


def of_adjournment(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """An examination adjourned on the day."""
    state = State[facts.get("state", "PANEL_DRAWN")]
    appraisal = an_appraisal(
        state=state, due_date=facts["due"], rest_days=facts.get("rest_days", 0)
    )
    adjourned = procedure.adjourn(appraisal, facts["until"], the_days(day))
    return {
        "state": adjourned.state.name,
        "due_date": adjourned.due_date,
        "provisions": provisions(adjourned.findings),
    }


def of_recusal(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """A specialist excluded before the draw, or when a panel is drawn."""
    assert day
    panel = [a_specialist(number).name for number in range(facts.get("panel", 0))]
    state = State.PANEL_DRAWN if panel else State.OPENED
    exclusion = Exclusion(a_specialist(facts["specialist"]).id, ExclusionCode[facts["code"]])
    excluded = procedure.exclude(an_appraisal(state=state), exclusion, panel)
    return {"state": excluded.state.name}


def of_own_recusal(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """A member of the panel who steps down, with a pool of this size besides the panel."""
    panel = [a_specialist(number) for number in range(facts["panel"])]
    pool = [*panel, *(a_specialist(len(panel) + number) for number in range(facts["besides"]))]
    exclusion = Exclusion(panel[0].id, ExclusionCode[facts["code"]])
    barred = {exclusion.name, *(each.name for each in pool[len(pool) - facts.get("barred", 0) :])}
    drawn = panels.replace_member(
        panel, exclusion, pool, barred, day, seed=day.isoformat().encode()
    )
    before = an_appraisal(state=State[facts.get("state", "PANEL_DRAWN")], draw=1)
    step = procedure.recuse if drawn.panel else procedure.release
    after = step(before, drawn.finding)
    return {
        "state": after.state.name,
        "draw": after.draw,
        "stay": len(set(panel) & set(drawn.panel)),
        "new": len(set(drawn.panel) - set(panel)),
        "sits": exclusion.name in {each.name for each in drawn.panel},
        "provisions": provisions(after.findings),
    }
