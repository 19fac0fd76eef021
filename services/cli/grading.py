"""`oip appraisals`, `oip specialists`, `oip items`: the steps of an appraisal, and its experts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

import typer
from oip.grading.v1 import grading_pb2

from services.cli.apis import GRADING
from services.cli.connection import all_pages, connection_of, new_request_id
from services.cli.fields import choice_in
from services.cli.messages import in_language, show_messages, show_result
from services.cli.refusals import Refused
from services.cli.resources import COLUMNS
from services.cli.steps import REQUEST_ID, Change, add_step

Opinion = grading_pb2.Opinion

Name = Annotated[str, typer.Argument(help="appraisals/{id}")]
RequestId = Annotated[str, typer.Option(help=REQUEST_ID)]
Revision = Annotated[int, typer.Option(help="Revision that you have read.")]
Items = Annotated[
    list[str] | None, typer.Option("--item", help="Item such as 6.14; repeat for each.")
]
Measured = Annotated[
    list[str] | None,
    typer.Option("--measured", help="Family with its findings, such as SCARS:area=92,joints=1."),
]
Cannot = Annotated[
    list[str] | None,
    typer.Option("--cannot", help="What the person cannot do alone, such as moving-about."),
]
UNTIL = {"until_date": "until"}

app = typer.Typer(no_args_is_help=True, help="Appraisals of confirmed injuries (劳动能力鉴定).")
add_step(
    app,
    "apply",
    GRADING,
    "OpenAppraisal",
    Change((), {"application_date": "received"}),
)
add_step(
    app,
    "request-documents",
    GRADING,
    "RequestDocuments",
    Change(options={"documents_date": "until"}),
)
add_step(app, "documents", GRADING, "RecordDocuments")
add_step(app, "abandon", GRADING, "AbandonAppraisal")
add_step(app, "withdraw", GRADING, "WithdrawAppraisal")
add_step(app, "draw", GRADING, "DrawPanel", Change(options={"panel_size": "size"}))
add_step(app, "adjourn", GRADING, "AdjournAppraisal", Change(options=UNTIL))
add_step(app, "defer", GRADING, "DeferAppraisal", Change(options=UNTIL | {"injury_kind": "injury"}))
add_step(app, "extend", GRADING, "ExtendAppraisal")
add_step(app, "absence", GRADING, "RecordAbsence", Change(options={"examination_date": "day"}))
add_step(app, "resume", GRADING, "ResumeAppraisal")
add_step(app, "recuse", GRADING, "RecuseSpecialist")
add_step(app, "conclude", GRADING, "ConcludeAppraisal")
add_step(
    app,
    "serve",
    GRADING,
    "ServeConclusion",
    Change(options={"recipient": "on", "serve_date": "day"}),
)
add_step(app, "revoke", GRADING, "RevokeConclusion")


@app.command()
def opinion(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    name: Name,
    specialist: Annotated[str, typer.Option(help="Your seat, specialists/{id}.")],
    items: Items = None,
    measured: Measured = None,
    cannot: Cannot = None,
    request_id: RequestId = "",
) -> None:
    """Give your own opinion, as a member of the panel."""
    request = grading_pb2.RecordOpinionRequest(
        request_id=new_request_id("opinion", request_id),
        name=name,
        opinion=Opinion(
            specialist=specialist,
            impairments=_impairments(items or [], measured or []),
            care_items=_care_items(cannot or []),
        ),
    )
    show_result(
        connection_of(context).call(GRADING, lambda stub: stub.RecordOpinion(request), "specialist")
    )


@app.command()
def correct(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    name: Name,
    revision: Revision,
    code: Annotated[str, typer.Option(help="wrong-item, wrong-standard or wrong-scope.")],
    reason: Annotated[str, typer.Option(help="Reason in words; it is recorded.")],
    items: Items = None,
    measured: Measured = None,
    cannot: Cannot = None,
    request_id: RequestId = "",
) -> None:
    """Correct a wrong conclusion: state what should have been found; another person signs."""
    request = grading_pb2.CorrectConclusionRequest(
        request_id=new_request_id("correct", request_id),
        name=name,
        revision=revision,
        code=choice_in(grading_pb2.CorrectionCode.DESCRIPTOR, code),
        reason=reason,
        impairments=_impairments(items or [], measured or []),
        care_items=_care_items(cannot or []),
    )
    show_result(connection_of(context).call(GRADING, lambda stub: stub.CorrectConclusion(request)))


specialists = typer.Typer(
    no_args_is_help=True, help="Keep the pool of specialists, and exclude one (鉴定专家、回避)."
)
add_step(
    specialists,
    "register",
    GRADING,
    "RegisterSpecialist",
    Change(("specialist_number", "field", "member")),
)
add_step(specialists, "renew", GRADING, "RenewSpecialist")
add_step(specialists, "exclude", GRADING, "ExcludeSpecialist", Change(("name", "specialist")))

items_app = typer.Typer(no_args_is_help=True, help="Items of the grading standard (伤残等级条目).")


@items_app.command()
def search(
    context: typer.Context,
    terms: Annotated[
        list[str] | None, typer.Argument(help="Words in English or Chinese, or a number.")
    ] = None,
    region: Annotated[str, typer.Option(help="Region of the body, for example leg.")] = "",
    kind: Annotated[str, typer.Option(help="Kind of impairment, for example fracture.")] = "",
    grade: Annotated[int, typer.Option(min=0, max=10, help="Disability grade; 0: all.")] = 0,
) -> None:
    """List the items that contain all words, by number."""
    request = grading_pb2.SearchImpairmentItemsRequest(
        query=" ".join(terms or []), region=region, kind=kind, grade=grade
    )
    found = connection_of(context).call(
        GRADING,
        lambda stub: all_pages(stub.SearchImpairmentItems, request, "items"),
    )
    show_messages(found, in_language(COLUMNS["items"]))


def _care_items(texts: Iterable[str]) -> list[grading_pb2.CareItem.ValueType]:
    return [choice_in(grading_pb2.CareItem.DESCRIPTOR, text) for text in texts]


def _impairments(items: Iterable[str], measured: Iterable[str]) -> Iterator[Opinion.Impairment]:
    """Items by number, and families with measured findings. Raises Refused."""
    yield from (Opinion.Impairment(item=item) for item in items)
    for text in measured:
        family, _, values = text.partition(":")
        pairs = [pair.partition("=") for pair in values.split(",")]
        if not all(name and sign and value for name, sign, value in pairs):
            raise Refused(
                "{text} is not a finding; write it as SCARS:area=92,joints=1.",
                "{text} 不是测量结果; 请写作 `SCARS:area=92,joints=1`。",
                text=text,
            )
        findings = [Opinion.Measurement(name=name, value=value) for name, _, value in pairs]
        yield Opinion.Impairment(family=family, measurements=findings)
