"""A platform's orders: a file is uploaded, its mapping checked, its rows sent; batches."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from oip.orders.v1 import orders_pb2, orders_pb2_grpc
from starlette.responses import FileResponse, Response

from services.client.files.vocabulary import INDUSTRY_HINTS
from services.console import failures, uploads
from services.console.listings import Column, Listing, export, page_of_rows
from services.console.pages import PLATFORM, Page
from services.console.texts import title_of
from services.console.uploads import Upload, UploadsFullError
from services.console.values import Cell, text_cell
from services.console.visit import Visit
from services.kernel.phrases import label
from services.kernel.problems import Problem

MAPPING_MAX = 50_000
_INDUSTRY = re.compile(r'^industry = \{ constant = "([A-Z_]*)" \}.*$', re.MULTILINE)
_FORM_WORDS = {
    "adcode": "区划代码列",
    "after": "起点",
    "column": "列",
    "constant": "固定值",
    "date": "日期列",
    "digits": "位数",
    "hash": "摘要",
    "lat": "纬度列",
    "lng": "经度列",
    "minutes": "分钟列",
    "pooling_area": "统筹地区列",
    "position": "第几列",
    "seconds": "秒数列",
    "time": "时刻列",
}


def _batch_cell(_: Visit, batch: Any) -> Cell:
    number = batch.name.rpartition("/")[2]
    return text_cell(number, href=f"/batches/{number}")


def batches_of(platform: str) -> Listing:
    """The batches of a company, newest first."""
    return Listing(
        "oip.orders.v1.OrderService.ListOrderBatches",
        "order_batches",
        ("Batches", "订单批次"),
        (
            Column("name", ("Batch", "批次"), _batch_cell),
            Column("create_time", ("Received", "接收时间")),
            Column("received_count"),
            Column("created_count"),
            Column("exists_count"),
            Column("conflict_count"),
            Column("rejected_count"),
        ),
        nothing=("No batch was sent yet.", "尚未上传订单批次。"),
        fixed={"platform": f"platforms/{platform}", "newest_first": True},
    )


def _owner(visit: Visit) -> tuple[str, str]:
    return visit.person.member, visit.person.platform


async def start(visit: Visit) -> Response:
    """Choose a file; batches so far."""
    listing = batches_of(visit.person.platform)
    if visit.query("as") in {"csv", "xlsx"}:
        return await export(visit, listing, visit.query("as"))
    refusal = ""
    if visit.is_post:
        file = visit.files.get("file")
        if file is None:
            refusal = visit.say("Choose the file.", "请选择文件。")
        else:
            try:
                upload = await visit.uploads.take(file, _owner(visit), visit.now)
            except Problem as problem:
                refusal = visit.say(problem.sentence, problem.sentence_zh)
            else:
                return visit.see(f"/uploads/{upload.id}")
    return visit.page(
        "uploads.html",
        status=400 if refusal else 200,
        refusal=refusal,
        listing=listing,
        rows=await page_of_rows(visit, listing),
        own=visit.uploads.of(_owner(visit)),
        form=None,
    )


async def one_upload(visit: Visit) -> Response:
    """One file: how it is read, what it holds, how far it is sent, what became of it."""
    upload = visit.uploads.find(visit.path("upload"), _owner(visit))
    if upload is None:
        return failures.failure(visit, 404)
    refusal = ""
    if visit.is_post and upload.state in {"mapping", "checked"}:
        refusal = await _act(visit, upload)
        if not refusal:
            return visit.see(f"/uploads/{upload.id}")
    return visit.page(
        "upload.html",
        status=400 if refusal else 200,
        upload=upload,
        refusal=refusal,
        columns=_columns(visit, upload.mapping_text),
        needs_industry='industry = { constant = "" }' in upload.mapping_text,
        industries=[
            (name, label("oip.type.v1.Industry", name).text(visit.language))
            for name in INDUSTRY_HINTS
        ],
        missing=[lack.text(visit.language) for lack in upload.missing],
        guessed=[guess.text(visit.language) for guess in upload.guessed],
        faults=_faults(visit, upload),
    )


async def _act(visit: Visit, upload: Upload) -> str:
    """Check a mapping, or send what was checked; the sentence of a refusal."""
    if visit.entry("stage") == "send" and upload.state == "checked":
        try:
            visit.uploads.begin(upload, visit.backend, visit.token)
        except UploadsFullError:
            return visit.say(
                "Other files are being sent; send this one in a minute.",
                "正在发送其他文件，请稍后再发送。",
            )
        return ""
    if visit.entry("stage") == "change":
        upload.state = "mapping"
        return ""
    text = visit.entry("mapping")[:MAPPING_MAX].replace("\r\n", "\n")
    industry = visit.entry("industry")
    if industry in INDUSTRY_HINTS:
        text = _INDUSTRY.sub(f'industry = {{ constant = "{industry}" }}', text, count=1)
    if "polygons" in _table(text, "places"):
        return visit.say(
            "Polygons are files of your own; push the file with the command line to use them.",
            "多边形文件需在本地使用，请改用命令行上传。",
        )
    try:
        await uploads.review(upload, text)
    except Problem as problem:
        return visit.say(problem.sentence, problem.sentence_zh)
    return ""


def _table(text: str, name: str) -> dict[str, Any]:
    try:
        table = tomllib.loads(text).get(name, {})
    except tomllib.TOMLDecodeError:
        return {}
    return table if isinstance(table, dict) else {}


def _columns(visit: Visit, text: str) -> list[tuple[str, str]]:
    """From which column each field comes, in words."""
    pairs = []
    for name, source in _table(text, "columns").items():
        pairs.append((title_of(str(name), visit.language), _source(visit, source)))
    moments = _table(text, "moments")
    if moments.get("form"):
        pairs.append((visit.say("Form of times", "时间格式"), str(moments["form"])))
    if moments.get("zone"):
        pairs.append((visit.say("Time zone", "时区"), str(moments["zone"])))
    return pairs


def _source(visit: Visit, source: Any) -> str:
    if isinstance(source, str):
        return visit.say(f"column “{source}”", f"“{source}”列")
    if not isinstance(source, dict):
        return str(source)
    zh = visit.language.value == "zh"
    between = "：" if zh else ": "
    return "，".join(
        f"{_FORM_WORDS.get(key, title_of(key, visit.language)) if zh else key}{between}{value}"
        for key, value in source.items()
    )


def _faults(visit: Visit, upload: Upload) -> list[tuple[str, str]]:
    """The first wrong rows of the file, with what is wrong."""
    if upload.summary is None:
        return []
    shown = []
    for row in upload.summary.wrong_rows():
        shown.append((f"{row.row:,}", visit.say(row.sentence, row.sentence_zh)))
        if len(shown) == uploads.ROWS_SHOWN // 10:
            break
    return shown


async def refused(visit: Visit) -> Response:
    """All rows of an upload that are not stored, as CSV."""
    upload = visit.uploads.find(visit.path("upload"), _owner(visit))
    if upload is None or not upload.refused_path.exists():
        return failures.failure(visit, 404)
    return FileResponse(upload.refused_path, media_type="text/csv", filename="refused.csv")


async def batch(visit: Visit) -> Response:
    """The receipt of a batch, and its rejected rows in the language of the page."""
    name = f"platforms/{visit.person.platform}/orderBatches/{visit.path('batch')}"
    listing = Listing(
        "oip.orders.v1.OrderService.ListOrderRejections",
        "rejections",
        ("Rejected rows", "拒收行"),
        (
            Column("index", ("Row of the batch", "批内行号")),
            Column("order_no"),
            Column("status"),
            Column("field"),
            Column("text", ("What is wrong", "原因"), _reason),
        ),
        nothing=("No row was rejected.", "没有拒收行。"),
        fixed={"order_batch": name},
    )
    if visit.query("as") in {"csv", "xlsx"}:
        return await export(visit, listing, visit.query("as"))
    stub = visit.stub(orders_pb2_grpc.OrderServiceStub, "orders")
    receipt = await stub.GetOrderBatch(orders_pb2.GetOrderBatchRequest(name=name))
    return visit.page(
        "batch.html",
        receipt=receipt,
        listing=listing,
        rows=await page_of_rows(visit, listing),
    )


def _reason(visit: Visit, rejection: Any) -> Cell:
    return text_cell(visit.say(rejection.text, rejection.text_zh))


PAGES = (
    Page("/uploads", start, PLATFORM, takes_form=True, takes_file=True),
    Page("/uploads/{upload}", one_upload, PLATFORM, takes_form=True),
    Page("/uploads/{upload}/refused", refused, PLATFORM),
    Page("/batches/{batch}", batch, PLATFORM),
)
