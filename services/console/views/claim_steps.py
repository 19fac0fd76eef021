"""The steps of a claim, each a form of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from oip.claims.v1 import accidents_pb2, accidents_pb2_grpc, claims_pb2, claims_pb2_grpc
from starlette.responses import Response

from services.console.forms import Ask
from services.console.pages import ADJUDICATOR, Page
from services.console.steps import Step, Target, take
from services.console.values import Cell, Formatter, moment_text, text_cell
from services.console.views.claims_queue import state_of
from services.console.visit import Visit, or_none

CLAIMS = "oip.claims.v1.ClaimService"
ACCIDENTS = "oip.claims.v1.AccidentService"

_SAME_CODES = ("OTHER_TIME_REPORTED", "SAME_INJURY", "FILED_TWICE")

STEPS: dict[str, Step] = {
    step.name: step
    for step in (
        Step(
            "accept",
            f"{CLAIMS}.AcceptClaim",
            ("Accept the claim?", "是否受理该申请？"),
            (
                (
                    "Accept it with complete documents, or with those there are. The time for the "
                    "determination begins."
                ),
                "材料齐全时受理，也可按现有材料受理。受理后作出结论的期限开始计算。",
            ),
            (
                Ask(
                    "facts_clear",
                    ("Facts and duties are clear", "事实清楚、权利义务明确"),
                    ("The time for the determination is then shorter.", "适用较短的办理期限。"),
                ),
            ),
            done=("The claim is accepted.", "已受理。"),
            effect=("The time limit of the determination begins.", "作出结论的期限开始计算。"),
        ),
        Step(
            "request",
            f"{CLAIMS}.RequestEvidence",
            ("Which documents are missing?", "需要补正哪些材料？"),
            (
                "Everything is requested once, in writing. The time limit stops until the reply.",
                "须一次性书面告知全部需补正材料。补正期间不计入办理期限。",
            ),
            (
                Ask(
                    "items",
                    ("Documents, one a line", "材料清单，每行一项"),
                    required=True,
                ),
            ),
            done=("The documents are requested.", "已告知补正。"),
        ),
        Step(
            "stay",
            f"{CLAIMS}.StayClaim",
            ("Why does the time limit stop?", "中止时限的理由是什么？"),
            (
                "For the time in which another body decides something that this rests on.",
                "结论须以其他机关的处理结果为依据的，可以中止时限。",
            ),
            (Ask("reason", ("Reason", "理由")),),
            done=("The time limit is stopped.", "已中止时限。"),
        ),
        Step(
            "resume",
            f"{CLAIMS}.ResumeClaim",
            ("Let the time limit run again?", "是否恢复时限？"),
            done=("The time limit runs again.", "已恢复时限。"),
        ),
        Step(
            "document",
            f"{CLAIMS}.AddEvidence",
            ("Which document came in?", "收到哪份材料？"),
            (
                (
                    "The file stays in your archive; its SHA-256 is recorded, so that it cannot be "
                    "exchanged."
                ),
                "文件保存在档案系统中，此处登记其 SHA-256 值，防止替换。",
            ),
            (
                Ask("kind", ("Kind", "材料种类"), required=True),
                Ask("title", ("Title", "名称"), required=True),
                Ask("content_hash", ("File", "文件"), required=True),
            ),
            done=("The document is recorded.", "材料已登记。"),
        ),
        Step(
            "death",
            f"{CLAIMS}.RecordDeath",
            ("When did the worker die of the injury?", "因该事故死亡的日期是哪天？"),
            (
                "After a determination, withdraw it first and determine again on the death.",
                "已作出结论的，应先撤销结论，再按死亡情形重新作出。",
            ),
            (Ask("death_date", ("Day of death", "死亡日期"), required=True),),
            done=("The death is recorded.", "死亡情况已登记。"),
        ),
        Step(
            "serve",
            f"{CLAIMS}.RecordService",
            ("When was the conclusion served?", "结论书何时送达？"),
            (
                "The time for review, reconsideration and a lawsuit runs from this day.",
                "复查、行政复议和行政诉讼的期限自该日起计算。",
            ),
            (Ask("service_date", ("Day of service", "送达日期"), required=True),),
            done=("The service is recorded.", "送达已登记。"),
        ),
        Step(
            "revoke",
            f"{CLAIMS}.RevokeDetermination",
            ("Why was the determination mistaken?", "结论有误的理由是什么？"),
            (
                "Both versions are kept. Benefits that rest on it end.",
                "两个版本均予保留；以该结论为依据的待遇随之终止。",
            ),
            (Ask("reason", ("Reason", "理由")),),
            done=("The determination is withdrawn.", "结论已撤销。"),
            effect=(
                "A second person signs the withdrawal before it takes effect.",
                "撤销须经另一人复核签批后生效。",
            ),
        ),
    )
}
SAME = Step(
    "answered",
    f"{ACCIDENTS}.AnswerFiling",
    ("Is it the same accident?", "是否为同一事故？"),
    (
        (
            "The same accident: the filing becomes part of the other claim. A distinct one: it "
            "becomes a claim of its own."
        ),
        "同一事故：并入另一申请；不同事故：成为独立申请。",
    ),
    (
        Ask("answer", ("Answer", "结论"), required=True),
        Ask("code", ("Why", "理由类别"), required=True),
        Ask("reason", ("In words", "理由说明")),
    ),
    done=("The filing is answered.", "申请件已判断。"),
)
MERGE = Step(
    "merged",
    f"{ACCIDENTS}.MergeClaims",
    ("Which claim is about the same accident?", "哪个申请属于同一事故？"),
    (
        (
            "It ends here: its determination is withdrawn; its filings and documents count for "
            "this claim."
        ),
        "该申请就此终结：其结论撤销，申请件和材料并入本申请。",
    ),
    (
        Ask(
            "merged_claim",
            ("The claim that ends", "并入的申请"),
            ("As `claims/{number}`.", "格式：`claims/{编号}`。"),
            required=True,
        ),
        Ask("code", ("Why", "理由类别"), required=True, choices=_SAME_CODES),
        Ask("reason", ("In words", "理由说明")),
    ),
    done=("The claims are merged.", "申请已合并。"),
    effect=("A second person signs the merger.", "合并须经另一人复核签批。"),
)
ANSWERS = (SAME, MERGE)


async def load(visit: Visit) -> Any:
    """The claim of the address. Raises RpcError."""
    claims = visit.stub(claims_pb2_grpc.ClaimServiceStub, "claims")
    return await claims.GetClaim(claims_pb2.GetClaimRequest(name=f"claims/{visit.path('id')}"))


def details_of(visit: Visit, claim: Any) -> list[tuple[str, Cell]]:
    """What a form says of its claim."""
    formatter = Formatter(visit.language)
    return [
        (visit.say("State", "状态"), state_of(visit, claim)),
        (visit.say("Worker", "人员"), formatter.of(claim, "worker")),
        (visit.say("Accident", "事故时间"), text_cell(moment_text(claim.accident_time))),
        (visit.say("Due", "办理期限"), formatter.of(claim, "due_date")),
        (visit.say("Missing documents", "缺少的材料"), formatter.of(claim, "missing_documents")),
    ]


def target_of(visit: Visit, claim: Any, field: str = "name") -> Target:
    """The claim as what a form changes."""
    number = claim.name.rpartition("/")[2]
    return Target(
        visit.say(f"Claim {number}", f"申请 {number}"),
        f"/claims/{number}",
        {field: claim.name},
        claim.revision,
        details_of(visit, claim),
    )


async def step(visit: Visit) -> Response:
    """One of the steps with a form of its own."""
    chosen = STEPS[visit.request.url.path.rpartition("/")[2]]
    claim = await load(visit)
    field = "claim" if chosen.name == "document" else "name"
    target = target_of(visit, claim, field)
    if chosen.name == "request":
        missing = Formatter(visit.language).of(claim, "missing_documents").text
        lines = missing.replace("、", "\n").replace(", ", "\n")
        target = replace(target, initial={"items": [lines] if lines else []})
    if chosen.name == "serve":
        target = replace(target, initial={"service_date": [visit.today.isoformat()]})
    return await take(visit, chosen, target)


async def answer(visit: Visit) -> Response:
    """Say whether a filing is about the same accident as a claim near it."""
    claim = await load(visit)
    stub = visit.stub(accidents_pb2_grpc.AccidentServiceStub, "claims")
    open_filings = await or_none(
        stub.ListFilings(accidents_pb2.ListFilingsRequest(open_only=True, page_size=1000))
    )
    filing = (
        next((each for each in open_filings.filings if each.name == claim.name), None)
        if open_filings
        else None
    )
    near = list(filing.near_claims) if filing else []
    target = target_of(visit, claim)
    options = tuple((name, (name, name)) for name in near)
    asks = (Ask("claim", ("The same as", "同一事故的申请"), options=options),) if near else ()
    details = [*target.details]
    if claim.HasField("question"):
        sentence = visit.say(claim.question.text, claim.question.text_zh)
        details.append((visit.say("Question", "待判断问题"), text_cell(sentence)))
    fixed: dict[str, Any] = {"name": claim.name}
    target = replace(target, asks=asks, details=details, fixed=fixed)
    if visit.is_post and visit.entry("answer") == "DISTINCT":
        return await take(
            visit, SAME, replace(target, asks=(), fixed=fixed | {"distinct_from": near})
        )
    return await take(visit, SAME, target)


async def merge(visit: Visit) -> Response:
    """Merge another claim of the person into this one."""
    claim = await load(visit)
    return await take(visit, MERGE, target_of(visit, claim, "claim"))


PAGES = (
    Page("/claims/{id}/merge", merge, ADJUDICATOR, takes_form=True),
    Page("/claims/{id}/answer", answer, ADJUDICATOR, takes_form=True),
    *(
        Page(
            f"/claims/{{id}}/{name}",
            step,
            ADJUDICATOR,
            takes_form=True,
            takes_file=name == "document",
        )
        for name in STEPS
        if name != "death"  # views/deaths.py, which also asks for survivors
    ),
)
