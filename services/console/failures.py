"""Pages for what did not work: each says what to do, and none loses the entries of a form."""

from __future__ import annotations

import grpc
from starlette.responses import HTMLResponse

from services.console.backend import refusal_of
from services.console.texts import Text, say
from services.console.visit import CSRF, Visit
from services.kernel.problems import Problem
from services.runtime.rpc.client import RemoteProblem

_CODE = grpc.StatusCode
_TITLES: dict[int, Text] = {
    400: ("This was not accepted", "请求未被接受"),
    403: ("You may not see this page", "无权访问"),
    404: ("This page does not exist", "页面不存在"),
    409: ("Somebody was faster", "内容已被他人更改"),
    413: ("The file is too large", "文件过大"),
    429: ("Too many requests", "请求过于频繁"),
    500: ("Something went wrong", "系统出错"),
    503: ("The service cannot be reached", "服务暂时不可用"),
}
_STATUS: dict[grpc.StatusCode, int] = {
    _CODE.PERMISSION_DENIED: 403,
    _CODE.NOT_FOUND: 404,
    _CODE.ABORTED: 409,
    _CODE.ALREADY_EXISTS: 409,
    _CODE.RESOURCE_EXHAUSTED: 429,
    _CODE.UNAVAILABLE: 503,
    _CODE.DEADLINE_EXCEEDED: 503,
    _CODE.INTERNAL: 500,
    _CODE.UNKNOWN: 500,
    _CODE.UNIMPLEMENTED: 503,
}
_ADVICE: dict[int, Text] = {
    403: (
        "Ask your administrator for the role, or sign in as somebody who has it.",
        "请联系管理员授予权限，或换用有权限的账号登录。",
    ),
    404: (
        "Check the address, or search for the number.",
        "请核对地址，或按编号查找。",
    ),
    429: ("Wait a moment, then send it again.", "请稍候再重新发送。"),
    500: (
        "Nothing was changed twice. Send it again; if it happens again, tell your administrator.",
        "不会重复办理。请重新发送；如再次出现，请告知管理员。",
    ),
    503: (
        (
            "Your entries are below and not lost. Send them again in a moment: what was already "
            "recorded is not recorded twice."
        ),
        "您填写的内容仍保留在本页，不会丢失。请稍后重新发送：已登记的内容不会重复登记。",
    ),
}
_READING_503: Text = ("Try again in a moment.", "请稍后重试。")


def entries_of(visit: Visit) -> tuple[tuple[str, str], ...]:
    """What was entered into the form that could not be sent."""
    return tuple((name, value) for name, value in visit.fields if name != CSRF)


def failure(visit: Visit, status: int, sentence: str = "") -> HTMLResponse:
    """The page for a failure, with the form to send again if one was sent."""
    title = _TITLES.get(status, _TITLES[400])
    advice = _ADVICE.get(status)
    if status == 503 and not visit.is_post:
        advice = _READING_503
    can_resend = visit.is_post and status in {409, 429, 500, 503}
    return visit.page(
        "failure.html",
        status=status,
        heading=say(title, visit.language),
        sentence=sentence,
        advice=say(advice, visit.language) if advice else "",
        entries=entries_of(visit) if can_resend else (),
        resend=visit.request.url.path if can_resend else "",
        had_file=bool(visit.files),
    )


def of_error(visit: Visit, error: grpc.RpcError) -> HTMLResponse:
    """The page for a refused call."""
    problem = refusal_of(error)
    return failure(visit, status_of(problem, reads=not visit.is_post), sentence_of(visit, problem))


def of_problem(visit: Visit, problem: Problem) -> HTMLResponse:
    """The page for what the console itself refuses."""
    return failure(visit, 400, visit.say(problem.sentence, problem.sentence_zh))


def status_of(problem: RemoteProblem, *, reads: bool) -> int:
    """The HTTP status of a refusal; a page of an impossible name does not exist."""
    if reads and problem.code is _CODE.INVALID_ARGUMENT:
        return 404
    return _STATUS.get(problem.code, 400)


def sentence_of(visit: Visit, problem: RemoteProblem) -> str:
    """A refusal in the user's language."""
    return visit.say(problem.sentence, problem.sentence_zh)


def form_outdated(visit: Visit) -> HTMLResponse:
    """The page for a form of an earlier session: its entries, to be sent with a new token."""
    return visit.page(
        "failure.html",
        status=403,
        heading=visit.say("Please confirm once more", "请再次确认"),
        sentence=visit.say(
            "The form is of an earlier session. Nothing was changed.",
            "该表单属于之前的登录会话，未作任何更改。",
        ),
        advice=visit.say(
            "Your entries are kept: check that you meant to send them, and send them again.",
            "您填写的内容已保留：请确认是您本人填写，然后重新发送。",
        ),
        entries=entries_of(visit),
        resend=visit.request.url.path,
        had_file=bool(visit.files),
    )
