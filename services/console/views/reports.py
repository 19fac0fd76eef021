"""What a platform reports of its workers' accidents: the first report, and the claim."""

from __future__ import annotations

from oip.claims.v1 import claims_pb2
from starlette.responses import Response

from services.console.forms import Ask
from services.console.pages import PLATFORM, Page
from services.console.steps import Step, Target, take
from services.console.visit import Visit

CLAIMS = "oip.claims.v1.ClaimService"
REPORT = Step(
    "reported",
    f"{CLAIMS}.ReportAccident",
    ("Which accident do you report?", "报告哪起事故？"),
    (
        "At once, with what is known. The records of the worker's orders of the day are kept.",
        "请立即报告已知情况。系统随即保全该人员当日的订单记录。",
    ),
    (
        Ask("worker", hint=("As `workers/{number}`.", "格式：`workers/{编号}`。"), required=True),
        Ask("accident_time", ("When", "事故时间"), required=True),
        Ask(
            "place_of_injury",
            ("Where", "受伤地"),
            ("A division code such as 440106.", "行政区划代码，如 440106。"),
            required=True,
        ),
        Ask("description", ("What happened", "事故经过")),
    ),
    done=("The accident is reported.", "已报案。"),
)
FILE = Step(
    "filed",
    f"{CLAIMS}.CreateClaim",
    ("For which accident do you apply?", "为哪起事故申请待遇？"),
    (
        "One accident has one claim: if the worker has filed, yours joins it.",
        "一起事故一个申请：本人已申请的，您的申请并入其中。",
    ),
    (
        *REPORT.asks,
        Ask("situation", ("Situation", "申请情形")),
        Ask("death_date", ("Day of death, if the worker died", "死亡日期（如死亡）")),
    ),
    done=("The claim is filed.", "已提交申请。"),
)


async def report(visit: Visit) -> Response:
    """Report an accident."""
    target = Target(visit.person.platform, "/claims", initial=_initial(visit))
    return await take(visit, REPORT, target)


async def claim(visit: Visit) -> Response:
    """File a claim for a worker."""
    target = Target(
        visit.person.platform,
        "/claims",
        # The kind of claimant is who is signed in.
        {"claimant_kind": claims_pb2.PLATFORM},
        initial=_initial(visit),
    )
    return await take(visit, FILE, target)


def _initial(visit: Visit) -> dict[str, list[str]]:
    worker = visit.query("worker")
    return {"worker": [worker]} if worker else {}


PAGES = (
    Page("/accidents/report", report, PLATFORM, takes_form=True),
    Page("/accidents/claim", claim, PLATFORM, takes_form=True),
)
