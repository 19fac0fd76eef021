"""The determination: what the enquiry found, a task list of findings, the effect, the signature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import grpc
from oip.claims.v1 import claims_pb2, claims_pb2_grpc
from starlette.responses import Response

from services.console import failures, steps
from services.console.backend import fields_refused, refusal_of
from services.console.forms import Ask, Form, entered_in
from services.console.pages import ADJUDICATOR, Page
from services.console.steps import Step, Target
from services.console.texts import Text
from services.console.views.claim_steps import load, target_of
from services.console.visit import Visit

Request = claims_pb2.DetermineClaimRequest
UNCLEAR = 3
REASON_MAX = 4000
# The questions of a determination, as services/claims/README.md lists them.
QUESTIONS: dict[str, Text] = {
    "scheme": ("Was the scheme in force?", "当地是否已施行职业伤害保障"),
    "enrolled": ("Was the worker insured?", "是否已参保"),
    "order_execution": ("Was an order under way?", "是否在执行订单期间"),
    "because_of_service": ("Because of the service?", "是否因服务受到伤害"),
    "required_travel": ("Was presence required?", "是否按平台要求前往指定地点"),
    "traffic_fault": ("Traffic: not mainly own fault?", "交通事故是否非本人主要责任"),
    "sudden_illness": ("Death soon after the illness?", "突发疾病死亡是否在规定时限内"),
    "public_interest": ("In the public interest?", "是否维护公共利益"),
    "way_home": ("On a reasonable way home?", "是否在合理返家途中"),
    "old_injury": ("Did the old injury relapse?", "是否旧伤复发"),
    "other_law": ("A situation that a law names?", "是否属于法律、行政法规规定的其他情形"),
    "missing": ("Missing after an accident?", "是否事故后下落不明"),
    "harm": ("Did the accident cause the harm?", "伤害是否由事故造成"),
    "intentional_crime": ("Did a crime cause it?", "是否因故意犯罪造成"),
    "intoxication": ("Did intoxication cause it?", "是否因醉酒或吸毒造成"),
    "self_harm": ("Did self-harm cause it?", "是否因自残或自杀造成"),
    "labour_relationship": ("A labour relationship?", "是否存在劳动关系"),
    "filing_time": ("Filed in time?", "是否在期限内申请"),
}
DETERMINE = Step(
    "determined",
    "oip.claims.v1.ClaimService.DetermineClaim",
    ("What did the enquiry find?", "调查核实的结果是什么？"),
    (
        "Only what a person has established. The rules read orders and documents themselves.",
        "只需填写由人工核实的事实；订单和材料由系统规则判断。",
    ),
    (
        Ask(
            "enquiry.harm_established",
            ("Was the injury or death caused by the accident?", "伤害或死亡是否由该事故造成？"),
            required=True,
        ),
        Ask("enquiry.disability_expected", ("A permanent impairment is likely", "可能遗留伤残")),
        Ask("enquiry.exclusions", ("Exclusions that were found", "调查发现的排除情形")),
        Ask(
            "enquiry.blood_alcohol_mg_per_100ml",
            ("Blood alcohol (mg per 100 ml)", "血液酒精含量（毫克/100毫升）"),
        ),
        Ask(
            "enquiry.traffic_mainly_own_fault",
            ("A traffic accident mainly by own fault", "交通事故由本人负主要或全部责任"),
        ),
        Ask(
            "enquiry.travel_required",
            (
                "The platform required presence at a fixed time and place",
                "平台要求按时到达指定地点",
            ),
        ),
        Ask(
            "enquiry.order_records_withheld",
            ("The platform did not provide order records", "平台未按期提供订单记录"),
        ),
        Ask(
            "enquiry.labour_relationship",
            ("The worker is in a labour relationship", "存在劳动关系"),
        ),
        Ask(
            "enquiry.first_diagnosis_time",
            ("Sudden illness: first diagnosis", "突发疾病：初次诊断时间"),
        ),
        Ask("enquiry.death_time", ("Sudden illness: death", "突发疾病：死亡时间")),
        Ask(
            "enquiry.irreversible_time",
            (
                "Sudden illness: when death could not be averted any more",
                "突发疾病：医疗机构认定死亡不可逆转的时间",
            ),
        ),
        Ask(
            "enquiry.spot_or_direct",
            (
                "Sudden illness: died on the spot, or taken directly to hospital",
                "突发疾病：当场死亡或直接送医抢救",
            ),
        ),
    ),
    button=("Show the findings", "查看认定事项"),
    done=("The claim is determined.", "已作出结论。"),
)


@dataclass(frozen=True)
class Task:
    """A finding of the task list; an open one has the fields of a judgement."""

    title: str
    finding: Any
    key: str = ""
    met: str = ""
    reason: str = ""
    error: str = ""

    @property
    def is_judged(self) -> bool:
        """Whether a person answers it."""
        return bool(self.key)


async def determine(visit: Visit) -> Response:
    """The pages of a determination: facts, findings, signature."""
    claim = await load(visit)
    target = _target(visit, claim)
    form = _form(visit, target)
    stage = visit.entry("stage")
    if not visit.is_post or stage == "change":
        return _facts_page(visit, target, form)
    request: Any = form.read()
    if form.errors:
        return _facts_page(visit, target, form, status=400)
    if visit.entry("revision") != str(claim.revision):
        return steps.changed_page(visit, DETERMINE, target, form)
    judgements, wrong = _judgements(visit)
    if stage == "send" and not wrong:
        request.judgements.extend(judgements)
        try:
            await steps.send(visit, DETERMINE, target, request)
        except grpc.RpcError as error:
            if refusal_of(error).reason != "FINDINGS_OPEN":
                return steps.outcome_of(visit, DETERMINE, target, form, error)
        else:
            return visit.see(f"{target.back}?done={DETERMINE.name}")
    return await _findings_page(visit, target, form, request.enquiry, (judgements, wrong))


def _target(visit: Visit, claim: Any) -> Target:
    target = target_of(visit, claim)
    options = tuple(
        (each.order, (each.order, each.order)) for each in claim.orders if each.under_way
    )
    if len(options) < 2:
        return target
    served = Ask(
        "enquiry.served_order",
        ("Which order was being served?", "正在执行的是哪个订单？"),
        options=options,
    )
    return replace(target, asks=(served,))


def _form(visit: Visit, target: Target) -> Form:
    entered = entered_in(visit.fields) if visit.is_post else {}
    asks = (*DETERMINE.asks, *target.asks)
    return Form(Request, asks, visit.language, entered)


def _facts_page(
    visit: Visit, target: Target, form: Form, *, status: int = 200, refusal: str = ""
) -> Response:
    return visit.page(
        "determine.html",
        status=status,
        step=DETERMINE,
        target=target,
        widgets=form.widgets(),
        judged=_judged_fields(visit),
        refusal=refusal,
        request_id=steps.request_id_of(visit),
    )


def _judged_fields(visit: Visit) -> list[tuple[str, str]]:
    return [(name, value) for name, value in visit.fields if name.startswith("judge.")]


def _judgements(visit: Visit) -> tuple[list[Any], dict[str, str]]:
    """The answers to open questions, and what is wrong with them, by question."""
    answers, wrong = [], {}
    for key in QUESTIONS:
        met, reason = visit.entry(f"judge.{key}.met"), visit.entry(f"judge.{key}.reason").strip()
        if visit.entry(f"judge.{key}.drop") == "1" or not (met or reason):
            continue
        if met not in {"yes", "no"}:
            wrong[key] = visit.say("Choose an answer.", "请选择是否符合。")
        elif not reason or len(reason) > REASON_MAX:
            wrong[key] = visit.say("Give the reason.", "请填写判断理由。")
        else:
            answers.append(Request.Judgement(finding=key, met=met == "yes", reason=reason))
    return answers, wrong


async def _findings_page(
    visit: Visit,
    target: Target,
    form: Form,
    enquiry: Any,
    judged: tuple[Sequence[Any], dict[str, str]],
) -> Response:
    """The task list, with the effect as soon as no question is open."""
    judgements, wrong = judged
    stub = visit.stub(claims_pb2_grpc.ClaimServiceStub, "claims")
    name = str(target.fixed["name"])
    try:
        before = await stub.PreviewDetermination(
            claims_pb2.PreviewDeterminationRequest(name=name, enquiry=enquiry)
        )
        answers = [each for each in judgements if each.finding in before.open_questions]
        preview = await stub.PreviewDetermination(
            claims_pb2.PreviewDeterminationRequest(name=name, enquiry=enquiry, judgements=answers)
        )
    except grpc.RpcError as error:
        problem = refusal_of(error)
        if problem.code not in {
            grpc.StatusCode.INVALID_ARGUMENT,
            grpc.StatusCode.FAILED_PRECONDITION,
        }:
            raise
        sentence = failures.sentence_of(visit, problem)
        form.refuse(fields_refused(error), sentence)
        return _facts_page(visit, target, form, status=400, refusal=sentence)
    tasks = _tasks(visit, before, preview, wrong)
    return visit.page(
        "determine_findings.html",
        status=400 if wrong else 200,
        step=DETERMINE,
        target=target,
        tasks=tasks,
        facts=[each for each in form.answers() if each[2]],
        further=form.hidden(),
        preview=preview,
        is_open=bool(preview.open_questions or wrong),
        request_id=steps.request_id_of(visit),
    )


def _tasks(visit: Visit, before: Any, preview: Any, wrong: dict[str, str]) -> list[Task]:
    """The findings; those that only a person answers keep their fields."""
    keys = iter(before.open_questions)
    keys_by_place: dict[int, str] = {
        place: next(keys, "")
        for place, finding in enumerate(before.findings)
        if finding.outcome == UNCLEAR
    }
    tasks = []
    for place, finding in enumerate(preview.findings):
        key = keys_by_place.get(place, "")
        label = QUESTIONS.get(key, (key.replace("_", " "), key))
        title = visit.say(*label) if key else ""
        tasks.append(
            Task(
                title,
                finding,
                key,
                visit.entry(f"judge.{key}.met"),
                visit.entry(f"judge.{key}.reason"),
                wrong.get(key, ""),
            )
        )
    return tasks


PAGES = (Page("/claims/{id}/determine", determine, ADJUDICATOR, takes_form=True),)
