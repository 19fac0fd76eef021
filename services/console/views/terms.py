"""The fund office's terms of premiums: base of a platform, band, credit, estimates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from oip.enrolment.v1 import enrolment_pb2, enrolment_pb2_grpc
from starlette.responses import Response

from services.console.forms import Ask
from services.console.listings import Column, Listing, show
from services.console.pages import FUND_OFFICER, FUND_READERS, Page
from services.console.steps import Step, Target, done_text, take
from services.console.values import Cell, text_cell
from services.console.visit import Visit

PREMIUMS = "oip.premiums.v1.PremiumService"
_PLATFORM = Ask(
    "platform", hint=("As `platforms/{code}`.", "格式：`platforms/{信用代码}`。"), required=True
)
STEPS: dict[str, Step] = {
    step.name: step
    for step in (
        Step(
            "base",
            f"{PREMIUMS}.AssignPremiumBase",
            ("Which base does a platform get?", "核定哪家平台的每单基准额？"),
            asks=(
                _PLATFORM,
                Ask("industry", required=True),
                Ask("since_date", ("From", "起始日期"), required=True),
                Ask("base_yuan", ("Base of an order (yuan)", "每单基准额（元）"), required=True),
                Ask("reason", ("Reason", "理由"), required=True),
            ),
            done=("The base is assigned.", "基准额已核定。"),
            effect=("A second person signs it.", "须经另一人复核签批。"),
        ),
        Step(
            "band",
            f"{PREMIUMS}.AssignExperienceBand",
            ("Which band does a platform get?", "核定哪家平台的浮动档次？"),
            asks=(
                _PLATFORM,
                Ask("since_date", ("From", "起始日期"), required=True),
                Ask("band", ("Band", "浮动档次"), required=True),
                Ask("reason", ("Reason", "理由"), required=True),
            ),
            done=("The band is assigned.", "档次已核定。"),
            effect=("A second person signs it.", "须经另一人复核签批。"),
        ),
    )
}


def _company(_: Visit, term: Any) -> Cell:
    return text_cell(term.name.split("/")[1])


TERMS = Listing(
    f"{PREMIUMS}.ListPremiumTerms",
    "terms",
    ("Rates and bands", "费率与档次"),
    (
        Column("name", ("Platform", "平台企业"), _company),
        Column("industry"),
        Column("since_date", ("From", "起始日期")),
        Column("base_yuan"),
        Column("band"),
        Column("reason"),
    ),
    nothing=("No term was assigned yet.", "尚未核定。"),
)


async def terms(visit: Visit) -> Response:
    """The terms of a platform, the first one unless the query names another."""
    stub = visit.stub(enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment")
    answer = await stub.ListPlatforms(enrolment_pb2.ListPlatformsRequest(page_size=1000))
    names = tuple((each.name, (each.display_name, each.display_name)) for each in answer.platforms)
    if not names:
        return await show(visit, replace(TERMS, fixed={"platform": "platforms/none"}))
    listing = replace(
        TERMS, filters=(Ask("platform", options=names),), fixed={"platform": names[0][0]}
    )
    done = done_text(visit, tuple(STEPS.values()))
    return await show(visit, listing, "terms.html", back="/fund", done=done)


async def assign(visit: Visit) -> Response:
    """Assign a base or a band."""
    chosen = STEPS[visit.request.url.path.rpartition("/")[2]]
    initial = {"since_date": [visit.today.replace(day=1).isoformat()]}
    target = Target(visit.say("Rates and bands", "费率与档次"), "/terms", initial=initial)
    return await take(visit, chosen, target)


PAGES = (
    Page("/terms", terms, FUND_READERS),
    *(Page(f"/terms/{name}", assign, FUND_OFFICER, takes_form=True) for name in STEPS),
)
