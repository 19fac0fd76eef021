"""A death after the claim was filed, with those whom the deceased supported."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import grpc
from oip.claims.v1 import claims_pb2
from starlette.responses import Response

from services.console import steps
from services.console.forms import Form, UnreadableError, day_of
from services.console.pages import ADJUDICATOR, Page
from services.console.steps import Target
from services.console.texts import say
from services.console.values import Formatter
from services.console.views.claim_steps import STEPS, load, target_of
from services.console.visit import Visit
from services.runtime.rpc.wire import enum_number

DEATH = STEPS["death"]
ROWS = range(1, 7)
Survivor = claims_pb2.Survivor
_RELATIONS: Any = Survivor.DESCRIPTOR.fields_by_name["relation"].enum_type
_MARKS = ("male", "totally_disabled", "alone")


async def record(visit: Visit) -> Response:
    """Enter the day and the survivors, check them, send."""
    claim = await load(visit)
    target = target_of(visit, claim)
    form = await steps.form_of(visit, DEATH, target)
    if not visit.is_post:
        form = Form(form.request, form.asks, visit.language, {"death_date": _known_day(claim)})
    stage = visit.entry("stage")
    if not visit.is_post or stage == "change":
        return _form_page(visit, target, form)
    request: Any = form.read()
    survivors, wrong = _survivors(visit)
    if form.errors or wrong:
        return _form_page(visit, target, form, wrong=wrong, status=400)
    if visit.entry("revision") != str(claim.revision):
        return steps.changed_page(visit, DEATH, target, form)
    request.survivors.extend(survivors)
    if stage != "send":
        return _check_page(visit, target, form, survivors)
    try:
        await steps.send(visit, DEATH, target, request)
    except grpc.RpcError as error:
        return steps.outcome_of(visit, DEATH, target, form, error)
    return visit.see(f"{target.back}?done={DEATH.name}")


def _known_day(claim: Any) -> list[str]:
    day = claim.death_date
    return [f"{day.year:04d}-{day.month:02d}-{day.day:02d}"] if day.year else []


def _survivors(visit: Visit) -> tuple[list[Any], dict[int, str]]:
    """The survivors of the form, and what is wrong with a row."""
    survivors, wrong = [], {}
    for row in ROWS:
        relation = visit.entry(f"kin.{row}.relation")
        if not relation:
            continue
        kin = Survivor(survivor_id=f"kin-{row}")
        try:
            kin.birth_date.CopyFrom(day_of(visit.entry(f"kin.{row}.birth_date")))
        except UnreadableError as error:
            wrong[row] = say(error.text, visit.language)
            continue
        if relation not in _RELATIONS.values_by_name:
            wrong[row] = visit.say("Choose one of the answers.", "请从选项中选择。")
            continue
        kin.relation = enum_number(_RELATIONS.values_by_name[relation].number)
        for mark in _MARKS:
            setattr(kin, mark, visit.entry(f"kin.{row}.{mark}") == "yes")
        if visit.entry(f"kin.{row}.supported") in {"yes", "no"}:
            kin.supported = visit.entry(f"kin.{row}.supported") == "yes"
        survivors.append(kin)
    return survivors, wrong


def _form_page(
    visit: Visit,
    target: Target,
    form: Form,
    *,
    wrong: dict[int, str] | None = None,
    status: int = 200,
) -> Response:
    formatter = Formatter(visit.language)
    relations = [
        (value.name, formatter.enum(_RELATIONS, value.number).text)
        for value in _RELATIONS.values
        if value.number
    ]
    return visit.page(
        "death.html",
        status=status,
        step=DEATH,
        target=target,
        widgets=form.widgets(),
        rows=ROWS,
        wrong=wrong or {},
        relations=relations,
        refusal=visit.say("Check the survivors.", "请核对供养亲属。") if wrong else "",
        request_id=steps.request_id_of(visit),
    )


def _check_page(visit: Visit, target: Target, form: Form, survivors: list[Any]) -> Response:
    formatter = Formatter(visit.language)
    described = [
        (
            f"kin-{number}",
            visit.say(f"Survivor {number}", f"供养亲属 {number}"),
            " · ".join(
                formatter.of(kin, name).text for name in ("relation", "birth_date", "supported")
            ),
        )
        for number, kin in enumerate(survivors, 1)
    ]
    kept = {name: value for name, value in visit.fields if name.startswith("kin.")}
    return visit.page(
        "step_check.html",
        step=DEATH,
        target=replace(target, further=kept),
        form=form,
        answers=[*form.answers(), *described],
        request_id=steps.request_id_of(visit),
    )


PAGES = (Page("/claims/{id}/death", record, ADJUDICATOR, takes_form=True),)
