"""The rules of benefits as the cases call them: plain values in, plain values out.

Amounts are yuan as text with two decimals, months `2025-07`. `where` is the pooling area (Guangzhou
if it is not given), `known` the day up to which publications count (far in the future if not), and
`law` replaces parameters for one case: switches that a province may set otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from services.benefits.domain import death, disability, expenses, recovery, stops, survivors
from services.benefits.domain.indexation import indexed
from services.benefits.domain.model import (
    Award,
    BenefitKind,
    CareDependence,
    Segment,
    State,
)
from services.benefits.domain.payments import Suspension, due
from services.benefits.domain.plan import entitlements
from services.benefits.domain.reconcile import Held, reconcile
from services.kernel.money import Fen
from services.kernel.periods import Month
from tests.rules.benefits.plain import (
    FAR,
    Given,
    area_of,
    base_of,
    computed,
    explained,
    facts_of,
    fen,
    law_of,
    line,
    plus_weekdays,
    stopped,
    survivor_of,
    yuan,
)


def base(day: date, given: Given) -> dict[str, Any]:
    found = base_of(day, given)
    return {
        "average_wage_yuan": yuan(found.average_wage),
        "benefit_base_yuan": yuan(found.benefit_base),
        "provisional": found.provisional,
        **explained([found.finding]),
    }


def disability_grant(day: date, given: Given) -> dict[str, Any]:
    return computed(
        disability.disability_grant(
            law_of(given), base_of(day, given), given["grade"], day, area_of(given)
        )
    )


def disability_allowance(day: date, given: Given) -> dict[str, Any]:
    return computed(
        disability.disability_allowance(
            law_of(given),
            base_of(day, given),
            given["grade"],
            day,
            where=area_of(given),
            month=Month.parse(given.get("month", "2025-09")),
            added=fen(given, "added_yuan"),
        )
    )


def disability_settlement(day: date, given: Given) -> dict[str, Any]:
    return computed(
        disability.disability_settlement(
            law_of(given), base_of(day, given), given["grade"], day, area_of(given)
        )
    )


def settlement_after_review(day: date, given: Given) -> dict[str, Any]:
    law, where = law_of(given), area_of(given)
    settlement = disability.disability_settlement(
        law, base_of(day, given), given["grade"], day, where
    )
    paid = fen(given, "allowance_paid_yuan")
    return computed(disability.settlement_after_review(law, settlement, paid, day, where))


def care_allowance(day: date, given: Given) -> dict[str, Any]:
    care = CareDependence[given["care"].upper()]
    return computed(
        disability.care_allowance(law_of(given), base_of(day, given), care, day, area_of(given))
    )


def after_pension(day: date, given: Given) -> dict[str, Any]:
    pension = fen(given, "pension_yuan") if "pension_yuan" in given else None
    return computed(
        disability.after_pension(
            law_of(given), fen(given, "allowance_yuan"), pension, Month.of(day), area_of(given)
        )
    )


def funeral_grant(day: date, given: Given) -> dict[str, Any]:
    return computed(death.funeral_grant(law_of(given), base_of(day, given), day, area_of(given)))


def death_grant(day: date, given: Given) -> dict[str, Any]:
    grant = death.death_grant(law_of(given), day, area_of(given), given.get("known", FAR))
    return {
        "amount_yuan": yuan(grant.amount),
        "provisional": grant.provisional,
        **explained(grant.findings),
    }


def rights_on_death(day: date, given: Given) -> dict[str, Any]:
    rights = death.rights_on_death(day, given.get("grade"))
    return {
        "funeral": rights.funeral,
        "grant": rights.grant,
        "pension": rights.pension,
        **explained([rights.finding]),
    }


def missing(day: date, given: Given) -> dict[str, Any]:
    rights = death.rights_when_missing(
        law_of(given), day, area_of(given), fen(given, "grant_yuan"), hardship=given["hardship"]
    )
    return {
        "pension_first_month": str(rights.pension_first_month),
        "advance_yuan": yuan(rights.advance),
        **explained([rights.finding]),
    }


def qualification(day: date, given: Given) -> dict[str, Any]:
    named = [survivor_of(one) for one in [given["survivor"], *given.get("others", [])]]
    found = survivors.qualification(law_of(given), named[0], named, day, area_of(given))
    return {
        "outcome": found.outcome.value,
        "last_month": str(found.last_month or ""),
        **explained([found.finding]),
    }


def pensions(day: date, given: Given) -> dict[str, Any]:
    """The amounts of survivors who all qualify, in the order named."""
    law, where = law_of(given), area_of(given)
    amount = fen(given, "base_yuan") or base_of(day, given).benefit_base
    members = [
        survivors.Member(
            one.survivor_id, survivors.share_of(law, one, day, where)[0], Month.of(day).plus(1)
        )
        for one in map(survivor_of, given["survivors"])
    ]
    shares = law.on("survivor_share", day, where)
    parts = survivors.amounts(amount, [one.share for one in members], shares.at("cap"))
    findings = [
        survivors.pension_finding(amount, one, members, part, shares)
        for one, part in zip(members, parts, strict=True)
    ]
    return {
        "amounts_yuan": [yuan(part) for part in parts],
        "sum_yuan": yuan(Fen(sum(part.count for part in parts))),
        **explained(findings),
    }


def expense(day: date, given: Given) -> dict[str, Any]:
    bill = expenses.Expense(
        kind=BenefitKind[given["kind"]],
        day=day,
        allowed_cost=fen(given, "allowed_cost_yuan"),
        day_count=given.get("day_count", 0),
        paid_by_third_party=fen(given, "paid_by_third_party_yuan"),
        device=given.get("device", ""),
    )
    accident = given.get("accident", day)
    return computed(expenses.reimbursement(law_of(given), bill, accident, area_of(given)))


def device_renewal(day: date, given: Given) -> dict[str, Any]:
    renewal, finding = expenses.renewal_day(law_of(given), given["device"], day, area_of(given))
    return {"renewal_date": renewal, **explained([finding])}


def treatment_allowance(day: date, given: Given) -> dict[str, Any]:
    end = given.get("end") or day + timedelta(days=given["days"])
    return computed(
        expenses.treatment_allowance(law_of(given), base_of(day, given), day, end, area_of(given))
    )


def stop_of_survivor(day: date, given: Given) -> dict[str, Any]:
    stop = stops.stop_of_survivor(survivor_of(given["survivor"]), stops.Event[given["event"]], day)
    return stopped(stop)


def stop_of_worker(day: date, given: Given) -> dict[str, Any]:
    return stopped(stops.stop_of_worker(stops.Event[given["event"]], day))


def indexation(day: date, given: Given) -> dict[str, Any]:
    care = CareDependence[given.get("care", "NONE").upper()]
    raised = indexed(
        law_of(given),
        fen(given, "granted_yuan"),
        given["key"],
        first_month=Month.parse(given["first_month"]),
        month=Month.of(day),
        where=area_of(given),
        known=given.get("known", FAR),
        care=care,
    )
    return {"amount_yuan": yuan(raised.amount), **explained(raised.findings)}


def set_off(day: date, given: Given) -> dict[str, Any]:
    law, where = law_of(given), area_of(given)
    payments = [Fen.of_yuan(one) for one in given["payments_yuan"]]
    owed = fen(given, "owed_yuan")
    cap = law.on("set_off_share", day, where).decimal
    splits = recovery.set_off(payments, owed, cap)
    return {
        "withheld_yuan": [yuan(one.withheld) for one in splits],
        "paid_yuan": [yuan(one.paid) for one in splits],
        **explained([recovery.set_off_finding(law, day, where, payments[0], owed)]),
    }


def fraud_fine(day: date, given: Given) -> dict[str, Any]:
    obtained = fen(given, "obtained_yuan")
    least, most, finding = recovery.fraud_fine(law_of(given), day, area_of(given), obtained)
    return {"least_yuan": yuan(least), "most_yuan": yuan(most), **explained([finding])}


def advance(day: date, given: Given) -> dict[str, Any]:
    found = recovery.advance(law_of(given), day, area_of(given), given.get("paid"), plus_weekdays)
    return {
        "urge_by": found.urge_by,
        "platform_pays_by": found.platform_pays_by,
        "fund_pays_from": found.fund_pays_from,
        "platform_repays_by": found.platform_repays_by,
        **explained([found.finding]),
    }


def case(day: date, given: Given) -> dict[str, Any]:
    """Everything due in a case whose accident happened on `day`, one line an award."""
    planned = entitlements(law_of(given), facts_of(day, given), given.get("known", FAR))
    return {
        "awards": {f"{one.kind.name} {one.beneficiary}": line(one) for one in planned},
        **explained([finding for one in planned for finding in one.findings]),
    }


def correction(day: date, given: Given) -> dict[str, Any]:
    """What a later fact changes for one who was paid: `before` and `after` are two cases.

    `paid_until` is the last month instructed before it.
    """
    law = law_of(given)
    known: date = given.get("known", FAR)
    before, after = facts_of(day, given["before"]), facts_of(day, given["after"])
    first = entitlements(law, before, given.get("known_before", known))
    granted = reconcile(before.case, first, [], Month.of(day), "").grant
    until = Month.parse(given["paid_until"])
    held = [
        Held(one, {payment.month: payment.amount for payment in due([one], {}, set(), until)})
        for one in granted
    ]
    planned = entitlements(law, after, known)
    changes = reconcile(after.case, planned, held, until.plus(1), "later fact")
    return {
        "granted": {
            f"{one.kind.name} {one.beneficiary}": yuan(one.amount) for one in changes.grant
        },
        "to_recover": {one.award.partition("-")[2]: yuan(one.amount) for one in changes.recover},
        "ended": sorted(one.kind.name for one in changes.change if one.state is State.TERMINATED),
        **explained(
            [
                *(finding for award in changes.grant for finding in award.findings),
                *(finding for made in changes.recover for finding in made.findings),
            ]
        ),
    }


def months_due(day: date, given: Given) -> dict[str, Any]:
    """The months that a run instructs for one monthly award."""
    first, last = Month.parse(given["first_month"]), given.get("last_month")
    award = Award(
        award="a",
        claim="claims/c",
        kind=BenefitKind.CARE_ALLOWANCE,
        beneficiary="worker",
        state=State.IN_PAYMENT,
        amount=Fen(100),
        first_month=first,
        last_month=Month.parse(last) if last else None,
        pooling_area=area_of(given),
        industry=2,
        event_date=day,
        segments=(Segment(first, Fen(100), ""),),
    )
    rests = [
        Suspension(Month.parse(one["from"]), Month.parse(one["to"]) if "to" in one else None)
        for one in given.get("suspended", [])
    ]
    paid = {("a", Month.parse(one)) for one in given.get("paid", [])}
    found = due([award], {"a": rests}, paid, Month.parse(given["run"]))
    return {"months": [str(one.month) for one in found]}


RULES: dict[str, Callable[[date, Given], dict[str, Any]]] = {
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
        advance,
        case,
        correction,
        months_due,
    )
}
