"""All records: a list and a page for every List and Get RPC, from its descriptor.

For the long tail: what people do every day has a page of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote

import grpc
from google.protobuf.descriptor import MethodDescriptor
from oip.type.v1 import type_pb2
from starlette.responses import Response

from services.console import failures
from services.console.backend import OPERATIONS, fields_refused, refusal_of
from services.console.facts import parts_of
from services.console.forms import Ask, Form, entered_in
from services.console.listings import Column, Listing, show
from services.console.methods import all_methods, has_field, request_of, roles_of
from services.console.pages import Page
from services.console.values import Cell, name_cell, text_cell, value_fields
from services.console.visit import Visit
from services.kernel.enum_labels import LABELS
from services.runtime.rpc.message_fields import is_value

_PAGING = {"page_size", "page_token", "count_all", "newest_first"}
# The columns of a list that has more fields than a table can show.
_COLUMNS_MAX = 7
_WIDE = {"description", "hash", "merkle_root", "content_hash", "text_zh", "title_zh", "revision"}
_NAMES: dict[str, tuple[str, str]] = {
    "accident-reports": ("Accident reports", "事故报案"),
    "accidents": ("Accidents", "事故"),
    "accruals": ("Accrued orders", "应计订单"),
    "advance-terms": ("Advance payment", "先行支付条件"),
    "appraisals": ("Appraisals", "劳动能力鉴定"),
    "assumed-values": ("Assumed values of the law", "待确认参数"),
    "awards": ("Awards", "待遇核定"),
    "checkpoints": ("Checkpoints of the evidence log", "存证日志检查点"),
    "claims": ("Claims", "待遇申请"),
    "consumed-events": ("Events taken in", "已接收事件"),
    "data-keys": ("Data keys", "数据密钥"),
    "dead-letters": ("Dead letters", "死信消息"),
    "deliveries": ("Deliveries of events", "事件投递"),
    "determinations": ("Determinations", "确认结论"),
    "erasures": ("Erasures", "个人信息删除"),
    "event-alarms": ("Event alarms", "事件告警"),
    "evidence": ("Documents", "证据材料"),
    "figures": ("Figures", "对账数据"),
    "filings": ("Filings", "申请件"),
    "healths": ("Health", "运行状况"),
    "history": ("History", "办理记录"),
    "impairment-items": ("Grading items", "伤残条目"),
    "invitations": ("Invitations to appraisal", "鉴定提示"),
    "ledger-transactions": ("Ledger", "记账凭证"),
    "life-events": ("Deaths and missing persons", "生存状态"),
    "log-consistencies": ("Consistency of the evidence log", "存证日志一致性"),
    "lost-events": ("Lost events", "缺失事件"),
    "order-batches": ("Order batches", "订单批次"),
    "order-gaps": ("Gaps in orders", "订单缺口"),
    "order-proofs": ("Proofs of orders", "订单存证证明"),
    "order-rejections": ("Rejected rows", "拒收行"),
    "order-tallies": ("Order tallies", "订单统计"),
    "orders": ("Orders", "订单"),
    "own-staff-member": ("My entry in the staff register", "本人名册信息"),
    "parameter-confirmations": ("Confirmed parameters", "参数确认"),
    "payment-instructions": ("Payment instructions", "支付指令"),
    "payment-runs": ("Payment runs", "支付批次"),
    "pending-acts": ("Acts to sign", "待签批事项"),
    "platforms": ("Platforms", "平台企业"),
    "premium-bills": ("Bills", "缴费账单"),
    "premium-receipts": ("Receipts", "实缴入库"),
    "premium-standings": ("Standing of a bill", "账单缴费情况"),
    "premium-terms": ("Rates and bands", "费率与档次"),
    "provisional-awards": ("Provisional awards", "暂按旧标准核定"),
    "reconciliations": ("Reconciliations", "对账"),
    "recoveries": ("Recoveries", "追回"),
    "settlement-periods": ("Settlement periods", "结算期"),
    "specialists": ("Specialists", "鉴定专家"),
    "staff-members": ("Staff register", "人员名册"),
    "trial-balances": ("Trial balance", "试算平衡"),
    "true-ups": ("True-ups", "清算"),
    "worker-orders": ("Orders of a worker", "人员订单"),
    "workers": ("Workers", "参保人员"),
}


@dataclass(frozen=True)
class Resource:
    """A kind of record: its list, its single record, or both."""

    key: str
    list_method: MethodDescriptor | None = None
    get_method: MethodDescriptor | None = None

    @property
    def title(self) -> tuple[str, str]:
        """What it is called."""
        plain = self.key.replace("-", " ").capitalize()
        return _NAMES.get(self.key, (plain, plain))


@cache
def resources() -> dict[str, Resource]:
    """The kinds of records, by the word in their address."""
    by_key: dict[str, Resource] = {}
    for method in all_methods().values():
        match = re.fullmatch(r"(List|Get)([A-Z]\w*)", method.name)
        if match is None or roles_of(method) <= {"service"}:
            continue
        kebab = re.sub(r"(?<!^)(?=[A-Z])", "-", match[2]).lower()
        key = kebab if match[1] == "List" else _plural(kebab)
        known = by_key.get(key, Resource(key))
        by_key[key] = (
            Resource(key, method, known.get_method)
            if match[1] == "List"
            else Resource(key, known.list_method, method)
        )
    return by_key


def _plural(kebab: str) -> str:
    if kebab.endswith(("s", "evidence", "own-staff-member")):
        return kebab
    if kebab.endswith("y"):
        return f"{kebab[:-1]}ies"
    return f"{kebab}es" if kebab.endswith("ch") else f"{kebab}s"


async def index(visit: Visit) -> Response:
    """The kinds of records that the person may see."""
    roles = visit.person.role_set
    shown = [
        each
        for each in resources().values()
        if any(
            method is not None and not roles.isdisjoint(roles_of(method))
            for method in (each.list_method, each.get_method)
        )
    ]
    return visit.page("records.html", resources=sorted(shown, key=lambda each: each.key))


async def record_list(visit: Visit) -> Response:
    """The list of a kind of record."""
    resource = resources().get(visit.path("key"))
    method = resource.list_method if resource else None
    if resource is None or method is None:
        if resource is not None:
            return visit.see(f"/records/{resource.key}/show")
        return failures.failure(visit, 404)
    if visit.person.role_set.isdisjoint(roles_of(method)):
        return failures.failure(visit, 403)
    listing = _listing(visit, resource, method)
    missing = [ask.field for ask in listing.filters if ask.required and not visit.query(ask.field)]
    if missing:
        form = Form(request_of(method), listing.filters, visit.language)
        return visit.page("record_query.html", resource=resource, widgets=form.widgets())
    try:
        return await show(visit, listing, back="/records")
    except grpc.RpcError as error:
        return _asked_again(visit, resource, listing.filters, method, error)


def _asked_again(
    visit: Visit,
    resource: Resource,
    asks: tuple[Ask, ...],
    method: MethodDescriptor,
    error: grpc.RpcError,
) -> Response:
    """The question with what the service says is wrong with it."""
    problem = refusal_of(error)
    if problem.code is not grpc.StatusCode.INVALID_ARGUMENT:
        raise error
    entered = entered_in(visit.request.query_params.multi_items())
    form = Form(request_of(method), asks, visit.language, entered)
    sentence = failures.sentence_of(visit, problem)
    form.refuse(fields_refused(error), sentence)
    return visit.page(
        "record_query.html",
        status=400,
        resource=resource,
        widgets=form.widgets(),
        refusal=sentence,
    )


def _listing(visit: Visit, resource: Resource, method: MethodDescriptor) -> Listing:
    rows = next(
        each for each in method.output_type.fields if each.is_repeated and each.message_type
    )
    names = [name for name in value_fields(rows.message_type) if name not in _WIDE]
    columns = tuple(Column(name) for name in names[:_COLUMNS_MAX])
    if resource.get_method is not None and "name" in names:
        columns = (_own_name(resource.key), *columns[1:])
    is_everywhere = method.containing_service.full_name == OPERATIONS
    filters = tuple(
        Ask(each.name, required=_is_needed(each), choices=_choices(each))
        for each in method.input_type.fields
        if each.name not in _PAGING and is_value(each) and each.name != "platform"
    )
    fixed: dict[str, Any] = {}
    if has_field(method.input_type, "platform") and visit.person.platform:
        fixed["platform"] = f"platforms/{visit.person.platform}"
    elif has_field(method.input_type, "platform"):
        filters = (Ask("platform"), *filters)
    service = visit.query("service") if is_everywhere else ""
    service = service if service in visit.backend.names else visit.backend.names[0]
    return Listing(
        str(method.full_name),
        str(rows.name),
        resource.title,
        columns,
        filters,
        service=service if is_everywhere else "",
        fixed=fixed,
    )


def _own_name(key: str) -> Column:
    """The name of a record, which leads to its page here if it has none of its own."""

    def make(_: Visit, row: Any) -> Cell:
        cell = name_cell(row.name)
        if cell.href:
            return cell
        return text_cell(cell.text, href=f"/records/{key}/show?name={quote(row.name, safe='')}")

    return Column("name", make=make)


def _is_needed(field: Any) -> bool:
    return bool(field.GetOptions().Extensions[type_pb2.bounds].required)


def _choices(field: Any) -> tuple[str, ...]:
    if field.enum_type is None:
        return ()
    return tuple(LABELS.get(field.enum_type.full_name, {}))


async def single(visit: Visit) -> Response:
    """One record, with all that it holds."""
    resource = resources().get(visit.path("key"))
    method = resource.get_method if resource else None
    if resource is None or method is None:
        return failures.failure(visit, 404)
    if visit.person.role_set.isdisjoint(roles_of(method)):
        return failures.failure(visit, 403)
    asks = tuple(Ask(each.name) for each in method.input_type.fields if is_value(each))
    entered = entered_in(visit.request.query_params.multi_items())
    form = Form(request_of(method), asks, visit.language, entered)
    request = form.read()
    if asks and not any(entered.get(ask.field) for ask in asks):
        return visit.page("record_query.html", resource=resource, widgets=form.widgets())
    service = visit.query("service") if visit.query("service") in visit.backend.names else ""
    if method.containing_service.full_name == OPERATIONS and not service:
        service = visit.backend.names[0]
    try:
        answer = await visit.call(method, request, service)
    except grpc.RpcError as error:
        return _asked_again(visit, resource, asks, method, error)
    name = visit.query("name")
    return visit.page(
        "record.html",
        resource=resource,
        name=name,
        parts_shown=parts_of(answer, visit.language),
    )


PAGES = (
    Page("/records", index),
    Page("/records/{key}", record_list),
    Page("/records/{key}/show", single),
)
