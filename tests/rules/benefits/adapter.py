"""The rules of benefits as the cases call them: plain values in, plain values out.

Amounts are yuan as text with two decimals, months `2025-07`. `where` is the pooling area, by
default Guangzhou; `known` is the day up to which publications count, by default far in the future;
`law` replaces parameters for one case: switches that a province may set differently.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from services.benefits.domain import death, disability, expenses, recovery, stops, survivors
from services.benefits.domain.award import Award, State
from services.benefits.domain.case import CauseOfDeath
from services.benefits.domain.indexation import indexed
from services.benefits.domain.kinds import BenefitKind
from services.benefits.domain.payments import Suspension, due
from services.benefits.domain.plan import entitlements
from services.benefits.domain.reconciliation import PaidAward, reconcile
from services.benefits.domain.segments import Segment
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.kernel.scheme import CareDependence
from tests.rules.benefits.case_values import (
    FAR,
    CaseFacts,
    area_of,
    base_of,
    computed,
    explained,
    facts_of,
    fen,
    law_of,
    line,
    stopped,
    survivor_of,
    yuan,
)


def base(day: date, facts: CaseFacts) -> dict[str, Any]:
    base = base_of(day, facts)
    return {
        "average_wage_yuan": yuan(base.average_wage),
        "benefit_base_yuan": yuan(base.benefit_base),
        "provisional": bool(base.awaits),
        **explained([base.finding]),
    }


def disability_grant(day: date, facts: CaseFacts) -> dict[str, Any]:
    return computed(
        disability.disability_grant(
            law_of(facts), base_of(day, facts), facts["grade"], day, area_of(facts)
        )
    )


def disability_allowance(day: date, facts: CaseFacts) -> dict[str, Any]:
    return computed(
        disability.disability_allowance(
            law_of(facts),
            base_of(day, facts),
            facts["grade"],
            day,
            where=area_of(facts),
            month=Month.parse(facts.get("month", "2025-09")),
            added=fen(facts, "added_yuan"),
        )
    )


def disability_settlement(day: date, facts: CaseFacts) -> dict[str, Any]:
    return computed(
        disability.disability_settlement(
            law_of(facts), base_of(day, facts), facts["grade"], day, area_of(facts)
        )
    )


def settlement_after_review(day: date, facts: CaseFacts) -> dict[str, Any]:
    law, where = law_of(facts), area_of(facts)
    settlement = disability.disability_settlement(
        law, base_of(day, facts), facts["grade"], day, where
    )
    paid = fen(facts, "allowance_paid_yuan")
    return computed(disability.settlement_after_review(law, settlement, paid, day, where))


def care_allowance(day: date, facts: CaseFacts) -> dict[str, Any]:
    care = CareDependence[facts["care"].upper()]
    return computed(
        disability.care_allowance(law_of(facts), base_of(day, facts), care, day, area_of(facts))
    )


def after_pension(day: date, facts: CaseFacts) -> dict[str, Any]:
    pension = fen(facts, "pension_yuan") if "pension_yuan" in facts else None
    return computed(
        disability.after_pension(
            law_of(facts), fen(facts, "allowance_yuan"), pension, Month.of(day), area_of(facts)
        )
    )


def funeral_grant(day: date, facts: CaseFacts) -> dict[str, Any]:
    return computed(death.funeral_grant(law_of(facts), base_of(day, facts), day, area_of(facts)))


def death_grant(day: date, facts: CaseFacts) -> dict[str, Any]:
    grant = death.death_grant(
        law_of(facts),
        day,
        area_of(facts),
        facts.get("known", FAR),
        accident=facts.get("accident", day),
    )
    return {
        "amount_yuan": yuan(grant.amount),
        "provisional": bool(grant.awaits),
        **explained(grant.findings),
    }


def rights_on_death(day: date, facts: CaseFacts) -> dict[str, Any]:
    cause = CauseOfDeath[facts["cause"]] if "cause" in facts else None
    rights = death.rights_on_death(law_of(facts), day, area_of(facts), facts.get("grade"), cause)
    return {
        "funeral": rights.funeral,
        "grant": rights.grant,
        "pension": rights.pension,
        "outcome": rights.finding.outcome.value,
        **explained([rights.finding]),
    }


def missing(day: date, facts: CaseFacts) -> dict[str, Any]:
    grant = death.DeathGrant(fen(facts, "grant_yuan"), awaits=(), findings=())
    rights = death.rights_when_missing(
        law_of(facts), day, area_of(facts), grant, hardship=facts["hardship"]
    )
    return {
        "pension_first_month": str(rights.pension_first_month),
        "advance_yuan": yuan(rights.advance),
        **explained([rights.finding]),
    }


def qualification(day: date, facts: CaseFacts) -> dict[str, Any]:
    named = [survivor_of(one) for one in [facts["survivor"], *facts.get("others", [])]]
    result = survivors.qualification(law_of(facts), named[0], named, day, area_of(facts))
    return {
        "outcome": result.outcome.value,
        "last_month": str(result.last_month or ""),
        **explained([result.finding]),
    }


def pensions(day: date, facts: CaseFacts) -> dict[str, Any]:
    """The amounts of survivors who all qualify, in the order named."""
    law, where = law_of(facts), area_of(facts)
    amount = fen(facts, "base_yuan") or base_of(day, facts).benefit_base
    members = [
        survivors.Member(
            one.survivor_id, survivors.share_of(law, one, day, where)[0], Month.of(day).plus(1)
        )
        for one in map(survivor_of, facts["survivors"])
    ]
    shares = law.on("survivor_share", day, where)
    parts = survivors.amounts(amount, [one.share for one in members], shares.at("cap"))
    findings = [
        survivors.pension_finding(amount, one, members, part, shares, accident=day)
        for one, part in zip(members, parts, strict=True)
    ]
    return {
        "amounts_yuan": [yuan(part) for part in parts],
        "sum_yuan": yuan(Fen(sum(part.count for part in parts))),
        **explained(findings),
    }


def expense(day: date, facts: CaseFacts) -> dict[str, Any]:
    bill = expenses.Expense(
        kind=BenefitKind[facts["kind"]],
        day=day,
        allowed_cost=fen(facts, "allowed_cost_yuan"),
        day_count=facts.get("day_count", 0),
        paid_by_third_party=fen(facts, "paid_by_third_party_yuan"),
        device=facts.get("device", ""),
    )
    accident = facts.get("accident", day)
    return computed(expenses.reimbursement(law_of(facts), bill, accident, area_of(facts)))


def device_renewal(day: date, facts: CaseFacts) -> dict[str, Any]:
    renewal, finding = expenses.renewal_day(law_of(facts), facts["device"], day, area_of(facts))
    return {"renewal_date": renewal, **explained([finding])}


def treatment_allowance(day: date, facts: CaseFacts) -> dict[str, Any]:
    end = facts.get("end") or day + timedelta(days=facts["days"])
    return computed(
        expenses.treatment_allowance(law_of(facts), base_of(day, facts), day, end, area_of(facts))
    )


def stop_of_survivor(day: date, facts: CaseFacts) -> dict[str, Any]:
    stop = stops.stop_of_survivor(survivor_of(facts["survivor"]), stops.Event[facts["event"]], day)
    return stopped(stop)


def stop_of_worker(day: date, facts: CaseFacts) -> dict[str, Any]:
    return stopped(stops.stop_of_worker(stops.Event[facts["event"]], day))


def indexation(day: date, facts: CaseFacts) -> dict[str, Any]:
    care = CareDependence[facts.get("care", "NONE").upper()]
    raised = indexed(
        law_of(facts),
        fen(facts, "granted_yuan"),
        facts["key"],
        begun=facts["begun"],
        month=Month.of(day),
        where=area_of(facts),
        known=facts.get("known", FAR),
        care=care,
    )
    return {"amount_yuan": yuan(raised.amount), **explained(raised.findings)}


def set_off(day: date, facts: CaseFacts) -> dict[str, Any]:
    law, where = law_of(facts), area_of(facts)
    payments = [Fen.of_yuan(one) for one in facts["payments_yuan"]]
    owed = fen(facts, "owed_yuan")
    cap = law.on("set_off_share", day, where).decimal
    splits = recovery.set_off(payments, owed, cap)
    return {
        "withheld_yuan": [yuan(one.withheld) for one in splits],
        "paid_yuan": [yuan(one.paid) for one in splits],
        **explained([recovery.set_off_finding(law, day, where, payments[0], owed, accident=day)]),
    }


def fraud_fine(day: date, facts: CaseFacts) -> dict[str, Any]:
    obtained = fen(facts, "obtained_yuan")
    least, most, finding = recovery.fraud_fine(
        law_of(facts), day, area_of(facts), obtained, accident=day
    )
    return {"least_yuan": yuan(least), "most_yuan": yuan(most), **explained([finding])}


def case(day: date, facts: CaseFacts) -> dict[str, Any]:
    """Everything due in a case whose accident happened on `day`, one line an award."""
    planned = entitlements(law_of(facts), facts_of(day, facts), facts.get("known", FAR))
    return {
        "awards": {f"{one.kind.name} {one.beneficiary}": line(one) for one in planned},
        "provisional": sorted({one.kind.name for one in planned if one.awaits}),
        **explained([finding for one in planned for finding in one.findings]),
    }


def correction(day: date, facts: CaseFacts) -> dict[str, Any]:
    """What a later fact changes for one who was paid: `before` and `after` are two cases.

    `paid_until` is the last month instructed before it.
    """
    law = law_of(facts)
    known: date = facts.get("known", FAR)
    before, after = facts_of(day, facts["before"]), facts_of(day, facts["after"])
    first = entitlements(law, before, facts.get("known_before", known))
    granted = reconcile(before.case, first, [], Month.of(day), "").grant
    until = Month.parse(facts["paid_until"])
    paid_awards = [
        PaidAward(one, {payment.month: payment.amount for payment in due([one], {}, set(), until)})
        for one in granted
    ]
    planned = entitlements(law, after, known)
    changes = reconcile(after.case, planned, paid_awards, until.plus(1), "later fact")
    return {
        "granted": {
            f"{one.kind.name} {one.beneficiary}": yuan(one.amount) for one in changes.grant
        },
        "to_recover": {one.award.partition("-")[2]: yuan(one.amount) for one in changes.recover},
        "ended": sorted(one.kind.name for one in changes.change if one.state is State.TERMINATED),
        **explained(
            [
                *(finding for award in changes.grant for finding in award.findings),
                *(finding for recovery in changes.recover for finding in recovery.findings),
            ]
        ),
    }


def months_due(day: date, facts: CaseFacts) -> dict[str, Any]:
    """The months that a run instructs for one monthly award."""
    first, last = Month.parse(facts["first_month"]), facts.get("last_month")
    award = Award(
        id="a",
        claim="claims/c",
        kind=BenefitKind.CARE_ALLOWANCE,
        beneficiary="worker",
        state=State.IN_PAYMENT,
        amount=Fen(100),
        first_month=first,
        last_month=Month.parse(last) if last else None,
        pooling_area=area_of(facts),
        industry=2,
        event_date=day,
        segments=(Segment(first, Fen(100), ""),),
    )
    rests = [
        Suspension(Month.parse(one["from"]), Month.parse(one["to"]) if "to" in one else None)
        for one in facts.get("suspended", [])
    ]
    paid = {("a", Month.parse(one)) for one in facts.get("paid", [])}
    payments = due([award], {"a": rests}, paid, Month.parse(facts["run"]))
    return {"months": [str(one.month) for one in payments]}


RULES: dict[str, Callable[[date, CaseFacts], dict[str, Any]]] = {
    rule.__name__: rule
    for rule in (
        base,
        disability_grant,
        disability_allowance,
        disability_settlement,
        settlement_after_review,
        care_allowance,
        after_pension,
        funeral_grant,
        death_grant,
        rights_on_death,
        missing,
        qualification,
        pensions,
        expense,
        device_renewal,
        treatment_allowance,
        stop_of_survivor,
        stop_of_worker,
        indexation,
        set_off,
        fraud_fine,
        case,
        correction,
        months_due,
    )
}
