"""One change, asked in a form: enter, check the answers, send, and see what became of it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import Message
from starlette.responses import Response

from services.console import failures
from services.console.backend import fields_refused, refusal_of
from services.console.forms import Ask, Form, entered_in, hash_of
from services.console.methods import has_field, method_named, request_of
from services.console.texts import Text, say
from services.console.values import Cell
from services.console.visit import Visit
from services.runtime.rpc.client import RemoteProblem

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,80}", re.ASCII)
SECOND_SIGNATURE = "SECOND_SIGNATURE_NEEDED"
# Refusals that mean: somebody else changed it since the form was opened.
_CHANGED = {"CLAIM_CHANGED", "APPRAISAL_CHANGED", "RECORD_CHANGED"}


@dataclass(frozen=True)
class Step:
    """A change that a person makes: its RPC, what it asks for, and what is said about it."""

    name: str
    method: str
    title: Text
    lead: Text = ("", "")
    asks: tuple[Ask, ...] = ()
    button: Text = ("Continue", "下一步")
    done: Text = ("Recorded.", "已登记。")
    # What follows from it, above the button that sends it.
    effect: Text = ("", "")


@dataclass(frozen=True)
class Target:
    """What a step changes: its page, its revision as it was read, and fields of the request."""

    heading: str
    back: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    revision: int = 0
    details: Sequence[tuple[str, Cell]] = ()
    initial: Mapping[str, Sequence[str]] = field(default_factory=dict)
    asks: tuple[Ask, ...] = ()
    service: str = ""
    # Further hidden fields of the form, which are no fields of the request.
    further: Mapping[str, str] = field(default_factory=dict)


def new_request_id() -> str:
    """The id of a form: sending it twice changes nothing twice."""
    return f"console-{uuid.uuid4().hex}"


def request_id_of(visit: Visit) -> str:
    """The id that the form carries; a new one if it carries none."""
    sent = visit.entry("request_id")
    return sent if _REQUEST_ID.fullmatch(sent) else new_request_id()


async def take(visit: Visit, step: Step, target: Target) -> Response:
    """Show the form of a step, its answers, or its outcome."""
    form = await form_of(visit, step, target)
    if not visit.is_post or visit.entry("stage") == "change":
        return _form_page(visit, step, target, form)
    request = form.read()
    if form.errors:
        return _form_page(visit, step, target, form, status=400)
    if target.revision and visit.entry("revision") != str(target.revision):
        return changed_page(visit, step, target, form)
    if visit.entry("stage") != "send":
        return _check_page(visit, step, target, form)
    return await _send(visit, step, target, form, request)


async def form_of(visit: Visit, step: Step, target: Target) -> Form:
    """The form with what was entered; a document is replaced by its hash."""
    asks = (*step.asks, *target.asks)
    entered = entered_in(visit.fields) if visit.is_post else dict(target.initial)
    for name, file in visit.files.items():
        entered = {**entered, name: [await hash_of(file)], f"{name}.file": [file.filename or ""]}
    return Form(request_of(method_named(step.method)), asks, visit.language, entered)


async def send(visit: Visit, step: Step, target: Target, request: Message) -> Any:
    """Call the step's RPC with the fixed fields and the form's request id. Raises RpcError."""
    set_fields(request, target.fixed)
    if has_field(request.DESCRIPTOR, "request_id"):
        set_fields(request, {"request_id": request_id_of(visit)})
    if target.revision and has_field(request.DESCRIPTOR, "revision"):
        set_fields(request, {"revision": target.revision})
    return await visit.call(method_named(step.method), request, target.service)


def set_fields(request: Any, values: Mapping[str, Any]) -> None:
    """Set fields of a request; a message is copied."""
    for name, value in values.items():
        if isinstance(value, Message):
            getattr(request, name).CopyFrom(value)
        elif isinstance(value, list):
            getattr(request, name).extend(value)
        else:
            setattr(request, name, value)


async def _send(visit: Visit, step: Step, target: Target, form: Form, request: Message) -> Response:
    try:
        await send(visit, step, target, request)
    except grpc.RpcError as error:
        return outcome_of(visit, step, target, form, error)
    mark = "&" if "?" in target.back else "?"
    return visit.see(f"{target.back}{mark}done={step.name}")


def outcome_of(
    visit: Visit, step: Step, target: Target, form: Form, error: grpc.RpcError
) -> Response:
    """The page for a refused change: to the signature, or the form with what is wrong."""
    problem = refusal_of(error)
    if problem.reason == SECOND_SIGNATURE:
        service = step.method.split(".")[1]
        name = problem.metadata.get("pending_act", "").rpartition("/")[2]
        return visit.see(f"/signatures/{target.service or service}/{name}?made=1")
    if problem.code in {grpc.StatusCode.UNAUTHENTICATED, *_PAGES}:
        raise error
    if problem.code is grpc.StatusCode.ABORTED or problem.reason in _CHANGED:
        return changed_page(visit, step, target, form, problem)
    sentence = failures.sentence_of(visit, problem)
    form.refuse(fields_refused(error), sentence)
    return _form_page(visit, step, target, form, status=400, refusal=sentence)


_PAGES = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}


def changed_page(
    visit: Visit, step: Step, target: Target, form: Form, problem: RemoteProblem | None = None
) -> Response:
    """Somebody changed it meanwhile: what it is now, and the entries to send on it."""
    return visit.page(
        "step_changed.html",
        status=409,
        step=step,
        target=target,
        form=form,
        sentence=failures.sentence_of(visit, problem) if problem else "",
        request_id=new_request_id(),
    )


def _form_page(
    visit: Visit, step: Step, target: Target, form: Form, *, status: int = 200, refusal: str = ""
) -> Response:
    return visit.page(
        "step.html",
        status=status,
        step=step,
        target=target,
        form=form,
        widgets=form.widgets(),
        refusal=refusal,
        request_id=request_id_of(visit),
    )


def _check_page(visit: Visit, step: Step, target: Target, form: Form) -> Response:
    return visit.page(
        "step_check.html",
        step=step,
        target=target,
        form=form,
        answers=form.answers(),
        request_id=request_id_of(visit),
    )


def done_text(visit: Visit, steps: Sequence[Step]) -> str:
    """What the banner says after a step; only words of the steps themselves."""
    done = visit.query("done")
    return next((say(step.done, visit.language) for step in steps if step.name == done), "")
