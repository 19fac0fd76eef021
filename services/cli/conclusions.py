"""Commands of `oip appraisals` from the opinions on: conclude, show, serve, correct, revoke."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer
from oip.grading.v1 import grading_pb2

from services.cli.appraisals import (
    Name,
    Reason,
    RequestId,
    call_grading,
    day_text,
    new_id,
    number_of,
)
from services.cli.connection import Refused, connection_of, day_of
from services.runtime.rpc.wire import date_to_wire

Opinion = grading_pb2.Opinion

Revision: TypeAlias = Annotated[int, typer.Option(help="Revision that you have read.")]
Items: TypeAlias = Annotated[
    list[str] | None, typer.Option("--item", help="Item such as 6.14; repeat for each.")
]
Measured: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--measured", help="Family with its findings, such as SCARS:area=92,joints=1."),
]
Cannot: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--cannot", help="What the person cannot do alone, such as moving-about."),
]


def show(context: typer.Context, name: Name) -> None:
    """Show an appraisal: where it stands, its services and its notes."""
    request = grading_pb2.GetAppraisalRequest(name=name)
    appraisal = call_grading(connection_of(context), lambda stub: stub.GetAppraisal(request))
    state = grading_pb2.Appraisal.State.Name(appraisal.state)
    applicant = grading_pb2.Applicant.Name(appraisal.applicant)
    typer.echo(f"{appraisal.name}: {state}, revision {appraisal.revision}, of {appraisal.claim}")
    typer.echo(
        f"applied for by {applicant} on {day_text(appraisal.application_date)}, "
        f"due by {day_text(appraisal.due_date)}"
    )
    if appraisal.conclusion_number:
        care = grading_pb2.CareDependence.Name(appraisal.care_dependence)
        typer.echo(
            f"conclusion {appraisal.conclusion_number} of {day_text(appraisal.conclude_date)}: "
            f"grade {appraisal.grade}, care {care}; "
            f"to be served by {day_text(appraisal.serve_due_date)}"
        )
    if appraisal.end_cause:
        typer.echo(f"ended: {grading_pb2.Appraisal.EndCause.Name(appraisal.end_cause)}")
    for service in appraisal.services:
        recipient = grading_pb2.Recipient.Name(service.recipient).removeprefix("RECIPIENT_")
        means = grading_pb2.ServiceMeans.Name(service.means)
        typer.echo(f"served on {recipient} on {day_text(service.serve_date)}: {means}")
    for note in appraisal.notes:
        typer.echo(f"revision {note.revision}: {note.text}")
    typer.echo(f"`oip explain {appraisal.name}` shows the findings.")


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
        request_id=new_id("opinion", request_id),
        name=name,
        opinion=Opinion(
            specialist=specialist,
            impairments=_impairments(items, measured),
            care_items=[number_of(grading_pb2.CareItem, each) for each in cannot or []],
        ),
    )
    recorded = call_grading(
        connection_of(context), lambda stub: stub.RecordOpinion(request), "specialist"
    )
    typer.echo(f"Your opinion on {recorded.name} is recorded, revision {recorded.revision}.")


def recuse(
    context: typer.Context,
    name: Name,
    code: Annotated[str, typer.Option(help="relative, interest, treated-the-worker or withdrew.")],
    reason: Reason,
    request_id: RequestId = "",
) -> None:
    """Step down from a panel yourself; another specialist is drawn in your place."""
    request = grading_pb2.RecuseSpecialistRequest(
        request_id=new_id("recuse", request_id),
        name=name,
        code=number_of(grading_pb2.ExclusionCode, code),
        reason=reason,
    )
    recused = call_grading(
        connection_of(context), lambda stub: stub.RecuseSpecialist(request), "specialist"
    )
    went_on = recused.state == grading_pb2.Appraisal.PANEL_DRAWN
    how = "another specialist was drawn" if went_on else "a new panel is to be drawn"
    typer.echo(f"You no longer sit on the panel of {recused.name}; {how}.")


def conclude(
    context: typer.Context, name: Name, revision: Revision, request_id: RequestId = ""
) -> None:
    """Conclude on the panel's opinions."""
    request = grading_pb2.ConcludeAppraisalRequest(
        request_id=new_id("conclude", request_id), name=name, revision=revision
    )
    concluded = call_grading(connection_of(context), lambda stub: stub.ConcludeAppraisal(request))
    _say_conclusion(concluded)


def serve(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    name: Name,
    recipient: Annotated[str, typer.Option("--on", help="worker or platform.")],
    means: Annotated[
        str, typer.Option(help="handed-over, post, electronic, left or public-notice.")
    ],
    day: Annotated[str, typer.Option(help="Day of service.")],
    request_id: RequestId = "",
) -> None:
    """Record the service of a conclusion; another person signs a change of the record."""
    request = grading_pb2.ServeConclusionRequest(
        request_id=new_id("serve", request_id),
        name=name,
        recipient=number_of(grading_pb2.Recipient, recipient, "RECIPIENT_"),
        means=number_of(grading_pb2.ServiceMeans, means),
        serve_date=date_to_wire(day_of(day)),
    )
    served = call_grading(connection_of(context), lambda stub: stub.ServeConclusion(request))
    typer.echo(f"The service of {served.name} on the {recipient} on {day} is recorded.")


def correct(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    name: Name,
    revision: Revision,
    code: Annotated[str, typer.Option(help="wrong-item, wrong-standard or wrong-scope.")],
    reason: Reason,
    items: Items = None,
    measured: Measured = None,
    cannot: Cannot = None,
    request_id: RequestId = "",
) -> None:
    """Correct a wrong conclusion: state what should have been found; another person signs."""
    request = grading_pb2.CorrectConclusionRequest(
        request_id=new_id("correct", request_id),
        name=name,
        revision=revision,
        code=number_of(grading_pb2.CorrectionCode, code),
        reason=reason,
        impairments=_impairments(items, measured),
        care_items=[number_of(grading_pb2.CareItem, each) for each in cannot or []],
    )
    corrected = call_grading(connection_of(context), lambda stub: stub.CorrectConclusion(request))
    _say_conclusion(corrected)


def revoke(
    context: typer.Context,
    name: Name,
    revision: Revision,
    reason: Reason,
    request_id: RequestId = "",
) -> None:
    """Revoke a conclusion that was obtained by fraud; another person signs."""
    request = grading_pb2.RevokeConclusionRequest(
        request_id=new_id("revoke", request_id), name=name, revision=revision, reason=reason
    )
    revoked = call_grading(connection_of(context), lambda stub: stub.RevokeConclusion(request))
    typer.echo(f"The conclusion of {revoked.name} is revoked; it counts as if it had never been.")


def _say_conclusion(appraisal: grading_pb2.Appraisal) -> None:
    care = grading_pb2.CareDependence.Name(appraisal.care_dependence)
    typer.echo(
        f"{appraisal.name}: grade {appraisal.grade}, care {care}; "
        f"to be served by {day_text(appraisal.serve_due_date)}."
    )


def _impairments(items: list[str] | None, measured: list[str] | None) -> list[Opinion.Impairment]:
    """Items by number, and families with measured findings. Raises Refused."""
    impairments = [Opinion.Impairment(item=item) for item in items or []]
    for text in measured or []:
        family, _, values = text.partition(":")
        pairs = [pair.partition("=") for pair in values.split(",")]
        if not all(name and sign and value for name, sign, value in pairs):
            raise Refused(f"{text} is not a finding; write it as SCARS:area=92,joints=1.")
        findings = [Opinion.Measurement(name=name, value=value) for name, _, value in pairs]
        impairments.append(Opinion.Impairment(family=family, measurements=findings))
    return impairments
