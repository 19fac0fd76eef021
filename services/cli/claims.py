"""`oip claims`, `oip filings`, `oip accident-reports`: the steps of a claim, one command each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import typer
from oip.claims.v1 import accidents_pb2, claims_pb2

from services.cli.apis import ACCIDENTS, CLAIMS
from services.cli.csv_files import yes_in
from services.cli.refusals import Refused
from services.cli.steps import Change, Reader, add_step
from services.cli.survivors import KIN

Judgement = claims_pb2.DetermineClaimRequest.Judgement


def judgements_in(texts: Iterable[str]) -> Iterator[Judgement]:
    """`order_execution=yes: the app was open` for each. Raises Refused."""
    for text in texts:
        finding, equals, answer = text.partition("=")
        met, colon, reason = answer.partition(":")
        if not (finding and equals and colon and reason.strip()):
            raise Refused(
                "{text} is not a judgement; write it as order_execution=yes: the reason.",
                "{text} 不是判断; 请写作 `order_execution=yes: 理由`。",
                text=text,
            )
        yield Judgement(finding=finding, met=yes_in(met.strip()), reason=reason.strip())


DECISION = Change(
    parts=("enquiry",),
    readers={
        "judgements": Reader(
            "judge",
            "Answer to a question that the rules leave open: finding=yes: reason; repeatable.",
            judgements_in,
        )
    },
)

reports = typer.Typer(no_args_is_help=True, help="First reports of accidents (一键报案).")
add_step(reports, "create", CLAIMS, "ReportAccident", Change(("worker",)))

app = typer.Typer(no_args_is_help=True, help="Applications for benefits, step by step (待遇申请).")
add_step(app, "file", CLAIMS, "CreateClaim", Change(("worker",), readers={"survivors": KIN}))
add_step(app, "accept", CLAIMS, "AcceptClaim", Change(parts=("small_injury",)))
add_step(app, "request-evidence", CLAIMS, "RequestEvidence", Change(options={"items": "item"}))
add_step(app, "stay", CLAIMS, "StayClaim")
add_step(app, "resume", CLAIMS, "ResumeClaim")
add_step(
    app, "death", CLAIMS, "RecordDeath", Change(("name", "death_date"), readers={"survivors": KIN})
)
add_step(app, "determine", CLAIMS, "DetermineClaim", DECISION)
add_step(app, "preview", CLAIMS, "PreviewDetermination", DECISION)
add_step(app, "serve", CLAIMS, "RecordService", Change(options={"service_date": "day"}))
add_step(app, "revoke", CLAIMS, "RevokeDetermination")
add_step(app, "merge", ACCIDENTS, "MergeClaims", Change(("claim", "merged_claim")))

filings = typer.Typer(
    no_args_is_help=True, help="Filings of the parties about an accident (申请件)."
)
SAME = "Answer that a filing is about the same accident as a claim; it becomes part of the claim."
DISTINCT = "Answer that a filing is about an accident of its own; it becomes a claim."
add_step(
    filings,
    "same",
    ACCIDENTS,
    "AnswerFiling",
    Change(without=("distinct_from",), fixed={"answer": accidents_pb2.SAME}, text=SAME),
)
add_step(
    filings,
    "distinct",
    ACCIDENTS,
    "AnswerFiling",
    Change(
        options={"distinct_from": "from"},
        without=("claim",),
        fixed={"answer": accidents_pb2.DISTINCT},
        text=DISTINCT,
    ),
)
add_step(filings, "contest", ACCIDENTS, "ContestFiling")
