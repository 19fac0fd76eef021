"""The appraisal committee: queue, one appraisal, panel, own opinion, conclusion, service."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import grpc
from oip.grading.v1 import grading_pb2, grading_pb2_grpc
from starlette.responses import Response

from services.console import steps
from services.console.facts import parts_of
from services.console.forms import Ask
from services.console.listings import Column, Listing, show
from services.console.pages import COMMITTEE, Page
from services.console.steps import Step, Target, done_text, take
from services.console.texts import Text
from services.console.values import Cell, Formatter, text_cell
from services.console.visit import Visit

GRADING = "oip.grading.v1.GradingService"
State = grading_pb2.Appraisal.State
APPRAISER = frozenset({"appraiser"})
SPECIALIST = frozenset({"specialist"})
READERS = COMMITTEE | {"adjudicator", "fund_officer", "platform"}
_COLOURS = {
    State.OPENED: "yellow",
    State.DOCUMENTS_REQUESTED: "purple",
    State.PANEL_DRAWN: "blue",
    State.CONCLUDED: "green",
}
STEPS: dict[str, Step] = {
    step.name: step
    for step in (
        Step(
            "draw",
            f"{GRADING}.DrawPanel",
            ("Draw the panel?", "是否抽取专家组？"),
            (
                "Specialists are drawn by lot, by the seed that was committed to before.",
                "按事先承诺的随机种子从专家库中抽取。",
            ),
            (
                Ask(
                    "panel_size",
                    ("Number of specialists", "专家人数"),
                    ("Empty for the usual number.", "不填则按规定人数。"),
                ),
            ),
            done=("The panel is drawn.", "专家组已抽取。"),
        ),
        Step(
            "conclude",
            f"{GRADING}.ConcludeAppraisal",
            ("Conclude on the opinions?", "是否按专家意见作出结论？"),
            (
                "The grade follows from the opinions by the standard.",
                "等级由专家意见按鉴定标准得出。",
            ),
            done=("The appraisal is concluded.", "已作出鉴定结论。"),
        ),
        Step(
            "serve",
            f"{GRADING}.ServeConclusion",
            ("On whom was the conclusion served?", "鉴定结论送达何人？"),
            asks=(
                Ask("recipient", ("Recipient", "受送达人")),
                Ask("means", ("Means", "送达方式")),
                Ask("serve_date", ("Day", "送达日期"), required=True),
            ),
            done=("The service is recorded.", "送达已登记。"),
        ),
        Step(
            "documents",
            f"{GRADING}.RequestDocuments",
            ("Which documents are missing?", "需要补正哪些材料？"),
            asks=(
                Ask("documents", ("Documents", "材料")),
                Ask("documents_date", ("By when", "补正期限")),
            ),
            done=("The documents are requested.", "已告知补正。"),
        ),
        Step(
            "received",
            f"{GRADING}.RecordDocuments",
            ("Did the documents come in?", "材料是否已收到？"),
            done=("The documents are recorded.", "材料已登记。"),
        ),
        Step(
            "defer",
            f"{GRADING}.DeferAppraisal",
            ("Until when is it deferred?", "延期至何时？"),
            ("While the injury is not stable.", "伤情尚未稳定的，可以延期。"),
            (
                Ask("until_date", ("Until", "延至"), required=True),
                Ask("injury_kind"),
                Ask("reason", ("Reason", "理由")),
            ),
            done=("The appraisal is deferred.", "已延期。"),
        ),
        Step(
            "extend",
            f"{GRADING}.ExtendAppraisal",
            ("Why does it take longer?", "延长期限的理由是什么？"),
            asks=(Ask("reason", ("Reason", "理由")),),
            done=("The time is extended.", "期限已延长。"),
        ),
        Step(
            "absence",
            f"{GRADING}.RecordAbsence",
            ("Did the worker miss an examination?", "被鉴定人是否缺席检查？"),
            asks=(
                Ask("examination_date", ("Day", "检查日期"), required=True),
                Ask("excused", ("With an excuse", "有正当理由")),
                Ask("code", ("Excuse", "理由类别")),
            ),
            done=("The absence is recorded.", "缺席已登记。"),
        ),
    )
}
OPINION = Step(
    "opinion",
    f"{GRADING}.RecordOpinion",
    ("What is your opinion?", "您的鉴定意见是什么？"),
    (
        (
            "The items of the standard that you found, one a line, such as 5.9.2-12. No item: "
            "leave it empty."
        ),
        "填写符合的标准条目编号，每行一项，如 5.9.2-12。没有符合条目的，留空。",
    ),
    (
        Ask(
            "opinion.care_items",
            ("Cannot do without help", "不能自理的项目"),
        ),
    ),
    button=("Check", "核对"),
    done=("Your opinion is recorded.", "意见已提交。"),
    effect=("An opinion is given once.", "意见提交后不得更改。"),
)
_OFFERS: tuple[tuple[tuple[int, ...], str, Text, frozenset[str]], ...] = (
    ((State.OPENED,), "draw", ("Draw the panel", "抽取专家组"), APPRAISER),
    ((State.PANEL_DRAWN,), "opinion", ("Give your opinion", "提交意见"), SPECIALIST),
    ((State.PANEL_DRAWN,), "conclude", ("Conclude", "作出结论"), APPRAISER),
    ((State.CONCLUDED,), "serve", ("Record the service", "登记送达"), APPRAISER),
    ((State.OPENED,), "documents", ("Request documents", "补正告知"), APPRAISER),
    ((State.DOCUMENTS_REQUESTED,), "received", ("Documents came in", "材料已收到"), APPRAISER),
    ((State.OPENED, State.PANEL_DRAWN), "defer", ("Defer", "延期鉴定"), APPRAISER),
    ((State.OPENED, State.PANEL_DRAWN), "extend", ("Extend the time", "延长期限"), APPRAISER),
    ((State.OPENED, State.PANEL_DRAWN), "absence", ("Record an absence", "登记缺席"), APPRAISER),
)


def _name(_: Visit, appraisal: Any) -> Cell:
    number = appraisal.name.rpartition("/")[2]
    return text_cell(number, href=f"/appraisals/{number}")


def _state(visit: Visit, appraisal: Any) -> Cell:
    text = Formatter(visit.language).of(appraisal, "state").text
    return text_cell(text, tag=_COLOURS.get(appraisal.state, "grey"))


LISTING = Listing(
    f"{GRADING}.ListAppraisals",
    "appraisals",
    ("Appraisals", "劳动能力鉴定"),
    (
        Column("name", ("Appraisal", "鉴定编号"), _name),
        Column("state", None, _state),
        Column("level"),
        Column("due_date", ("Due", "办理期限")),
        Column("claim"),
        Column("grade", ("Grade", "等级")),
        Column("care_dependence"),
    ),
    (Ask("states"), Ask("claim", hint=("As `claims/{number}`.", "格式：`claims/{编号}`。"))),
    nothing=("No appraisal is here.", "没有鉴定。"),
)


async def queue(visit: Visit) -> Response:
    """The appraisals: of a specialist those of own panels."""
    done = done_text(visit, (OPEN,))
    return await show(visit, LISTING, "appraisals.html", back="", done=done)


async def _load(visit: Visit) -> Any:
    stub = visit.stub(grading_pb2_grpc.GradingServiceStub, "grading")
    name = f"appraisals/{visit.path('id')}"
    return await stub.GetAppraisal(grading_pb2.GetAppraisalRequest(name=name))


async def appraisal_page(visit: Visit) -> Response:
    """One appraisal."""
    appraisal = await _load(visit)
    number = visit.path("id")
    seats = {seat.name: seat for seat in appraisal.panel}
    with_opinion = {opinion.specialist for opinion in appraisal.opinions}
    own = next((seat for seat in appraisal.panel if seat.member == visit.person.member), None)
    offers = [
        (f"/appraisals/{number}/{name}", visit.say(*label), place == 0)
        for place, (states, name, label, roles) in enumerate(_OFFERS)
        if appraisal.state in states
        and not visit.person.role_set.isdisjoint(roles)
        and not (name == "opinion" and (own is None or own.name in with_opinion))
    ]
    return visit.page(
        "appraisal.html",
        appraisal=appraisal,
        number=number,
        state=_state(visit, appraisal),
        seats=[(seat, name in with_opinion) for name, seat in seats.items()],
        offers=offers,
        parts_shown=parts_of(
            appraisal,
            visit.language,
            without={"panel", "findings", "draw_commitment", "draw_seed", "next_draw_commitment"},
        ),
        done=done_text(visit, (*STEPS.values(), OPINION)),
    )


def _target(visit: Visit, appraisal: Any) -> Target:
    number = visit.path("id")
    formatter = Formatter(visit.language)
    return Target(
        visit.say(f"Appraisal {number}", f"鉴定 {number}"),
        f"/appraisals/{number}",
        {"name": appraisal.name},
        appraisal.revision,
        [
            (visit.say("State", "状态"), _state(visit, appraisal)),
            (visit.say("Claim", "申请"), formatter.of(appraisal, "claim")),
            (visit.say("Due", "办理期限"), formatter.of(appraisal, "due_date")),
        ],
    )


async def step(visit: Visit) -> Response:
    """One of the committee's steps."""
    chosen = STEPS[visit.request.url.path.rpartition("/")[2]]
    target = _target(visit, await _load(visit))
    if chosen.name == "serve":
        target = replace(target, initial={"serve_date": [visit.today.isoformat()]})
    return await take(visit, chosen, target)


async def opinion(visit: Visit) -> Response:
    """The opinion of a specialist who sits on the panel."""
    appraisal = await _load(visit)
    own = next((seat for seat in appraisal.panel if seat.member == visit.person.member), None)
    target = _target(visit, appraisal)
    form = await steps.form_of(visit, OPINION, target)
    items = [line.strip() for line in visit.entry("items").splitlines() if line.strip()]
    stage = visit.entry("stage")
    if not visit.is_post or stage == "change":
        return _opinion_page(visit, target, form)
    request: Any = form.read()
    if form.errors:
        return _opinion_page(visit, target, form)
    request.opinion.specialist = own.name if own else ""
    for item in items:
        request.opinion.impairments.add(item=item)
    if stage != "send":
        return visit.page(
            "step_check.html",
            step=OPINION,
            target=replace(target, further={"items": visit.entry("items")}),
            form=form,
            answers=[
                ("items", visit.say("Items", "条目"), "、".join(items)),
                *form.answers(),
            ],
            request_id=steps.request_id_of(visit),
        )
    try:
        await steps.send(visit, OPINION, target, request)
    except grpc.RpcError as error:
        return steps.outcome_of(visit, OPINION, target, form, error)
    return visit.see(f"{target.back}?done={OPINION.name}")


def _opinion_page(visit: Visit, target: Target, form: Any) -> Response:
    return visit.page(
        "opinion.html",
        step=OPINION,
        target=target,
        widgets=form.widgets(),
        items=visit.entry("items"),
        request_id=steps.request_id_of(visit),
        refusal="",
    )


SPECIALISTS = Listing(
    f"{GRADING}.ListSpecialists",
    "specialists",
    ("Specialists", "鉴定专家"),
    (
        Column("name"),
        Column("field", ("Field", "专业")),
        Column("provincial"),
        Column("term_first_date"),
        Column("term_last_date"),
    ),
    nothing=("No specialist is registered.", "尚无专家。"),
)
REGISTER = Step(
    "specialist",
    f"{GRADING}.RegisterSpecialist",
    ("Which specialist joins the pool?", "登记哪位专家？"),
    asks=(
        Ask("specialist_number", ("Number", "专家编号"), required=True),
        Ask("field", ("Field", "专业"), required=True),
        Ask(
            "member",
            ("Person of the staff register", "名册人员"),
            ("As `staffMembers/{number}`.", "格式：`staffMembers/{编号}`。"),
            required=True,
        ),
        Ask("provincial", ("Of the province's committee", "省级鉴定专家")),
    ),
    done=("The specialist is registered.", "专家已登记。"),
    effect=("A second person signs it.", "须经另一人复核签批。"),
)
OPEN = Step(
    "opened",
    f"{GRADING}.OpenAppraisal",
    ("Who applies for which appraisal?", "由谁申请何种鉴定？"),
    ("After treatment, when the injury is stable.", "治疗终结、伤情相对稳定后申请。"),
    (
        Ask("claim", hint=("As `claims/{number}`.", "格式：`claims/{编号}`。"), required=True),
        Ask("level", ("Level", "鉴定级别")),
        Ask("applicant", ("Applicant", "申请人")),
        Ask("inability", ("Why the worker cannot apply", "本人不能申请的原因")),
    ),
    done=("The appraisal is opened.", "已受理鉴定申请。"),
)
APPLICANTS = frozenset({"appraiser", "platform", "fund_officer"})


async def specialists(visit: Visit) -> Response:
    """The pool of specialists."""
    done = done_text(visit, (REGISTER,))
    return await show(visit, SPECIALISTS, "specialists.html", back="/appraisals", done=done)


async def register(visit: Visit) -> Response:
    """Register a specialist."""
    target = Target(visit.say("Specialists", "鉴定专家"), "/specialists")
    return await take(visit, REGISTER, target)


async def apply(visit: Visit) -> Response:
    """Apply for an appraisal."""
    claim = visit.query("claim")
    back = "/appraisals" if visit.has_role("appraiser") else "/"
    target = Target(
        visit.say("Appraisals", "劳动能力鉴定"), back, initial={"claim": [claim] if claim else []}
    )
    return await take(visit, OPEN, target)


PAGES = (
    Page("/specialists", specialists, APPRAISER | {"administrator"}),
    Page("/specialists/register", register, APPRAISER | {"administrator"}, takes_form=True),
    Page("/applications/appraisal", apply, APPLICANTS, takes_form=True),
    Page("/appraisals", queue, COMMITTEE),
    Page("/appraisals/{id}", appraisal_page, READERS),
    Page("/appraisals/{id}/opinion", opinion, SPECIALIST, takes_form=True),
    *(Page(f"/appraisals/{{id}}/{name}", step, APPRAISER, takes_form=True) for name in STEPS),
)
