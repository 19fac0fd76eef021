"""A platform's workers: list, search, enrolment of a file with an outcome for each row."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from datetime import date
from typing import Any

from oip.enrolment.v1 import enrolment_pb2, enrolment_pb2_grpc
from starlette.datastructures import UploadFile
from starlette.responses import Response

from services.client.enrolment import EnrolOutcome, NewWorker, enrol_workers
from services.console.listings import Column, Listing, harmless, show
from services.console.pages import PLATFORM, Page
from services.console.steps import new_request_id, request_id_of
from services.console.values import Cell, text_cell
from services.console.visit import Visit
from services.kernel.phrases import label

COLUMNS = ("worker_number", "document_kind", "document_number", "phone", "enrol_date")
ROWS_MAX = 20_000
FILE_BYTES_MAX = 8 * 1024 * 1024
ROWS_SHOWN = 200
STATUS = "oip.enrolment.v1.EnrolWorkersResponse.Status"
# Chinese headers that people write.
_HEADERS = {
    "人员编号": "worker_number",
    "骑手编号": "worker_number",
    "证件类型": "document_kind",
    "证件号码": "document_number",
    "身份证号": "document_number",
    "手机号": "phone",
    "参保日期": "enrol_date",
}


class FileWrongError(Exception):
    """The file is no list of workers."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self.text = (en, zh)


def _enrolled(visit: Visit, worker: Any) -> Cell:
    own = f"platforms/{visit.person.platform}"
    numbers = [each.worker_number for each in worker.enrolments if each.platform == own]
    return text_cell("、".join(numbers))


def _since(visit: Visit, worker: Any) -> Cell:
    own = f"platforms/{visit.person.platform}"
    days = [each.enrol_date for each in worker.enrolments if each.platform == own]
    return text_cell(f"{days[0].year:04d}-{days[0].month:02d}-{days[0].day:02d}" if days else "")


def _listing(visit: Visit) -> Listing:
    return Listing(
        "oip.enrolment.v1.EnrolmentService.ListWorkers",
        "workers",
        ("Workers", "参保人员"),
        (
            Column("worker_number", ("Your number", "本企业编号"), _enrolled),
            Column("masked_document_number", ("Document", "证件号码")),
            Column("since", ("Insured from", "参保日期"), _since),
            Column("name", ("Worker", "人员")),
        ),
        nothing=("Nobody is enrolled yet.", "尚无参保人员。"),
        fixed={"platform": f"platforms/{visit.person.platform}"},
    )


async def workers(visit: Visit) -> Response:
    """The workers of the platform, and a search by its own number."""
    number = visit.query("number").strip()[:100]
    result = None
    if number:
        stub = visit.stub(enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment")
        answer = await stub.LookUpWorkers(
            enrolment_pb2.LookUpWorkersRequest(
                platform=f"platforms/{visit.person.platform}", worker_numbers=[number]
            )
        )
        if answer.workers[0]:
            result = await stub.GetWorker(
                enrolment_pb2.GetWorkerRequest(name=f"workers/{answer.workers[0]}")
            )
    return await show(
        visit, _listing(visit), "workers.html", number=number, result=result, back="", done=""
    )


async def enrol(visit: Visit) -> Response:
    """Enrol the workers of a file, or one of a form; an outcome for each."""
    if not visit.is_post:
        return visit.page("enrol.html", columns=COLUMNS, request_id=new_request_id(), refusal="")
    try:
        people = await _people(visit)
    except FileWrongError as wrong:
        return visit.page(
            "enrol.html",
            status=400,
            columns=COLUMNS,
            request_id=request_id_of(visit),
            refusal=visit.say(*wrong.text),
        )
    stub = visit.stub(enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment")
    run = request_id_of(visit)[-40:].lstrip("-._")
    outcomes = [
        outcome async for outcome in enrol_workers(stub, visit.person.platform, people, run)
    ]
    if visit.entry("as") == "csv":
        return _as_csv(outcomes)
    counts = Counter(outcome.status for outcome in outcomes)
    refused = [
        (place, outcome, _words(visit, outcome.status))
        for place, outcome in enumerate(outcomes, 2)
        if not outcome.is_enrolled
    ]
    return visit.page(
        "enrolled.html",
        total=len(outcomes),
        counts=[(_words(visit, status), count) for status, count in counts.most_common()],
        refused=refused[:ROWS_SHOWN],
        refused_count=len(refused),
    )


def _words(visit: Visit, status: str) -> str:
    try:
        return label(STATUS, status).text(visit.language)
    except LookupError:
        return status.replace("_", " ").lower()


async def _people(visit: Visit) -> list[NewWorker]:
    """The workers of the file, or the one of the form. Raises FileWrongError."""
    file = visit.files.get("file")
    if file is not None:
        return list(_rows(await _text_of(file)))
    row = {name: visit.entry(name).strip() for name in COLUMNS}
    if not row["worker_number"] or not row["document_number"]:
        raise FileWrongError(
            "Choose a file, or write number and document of one worker.",
            "请选择文件，或填写一名人员的编号和证件号码。",
        )
    return [_worker(row, 1)]


async def _text_of(file: UploadFile) -> str:
    content = await file.read(FILE_BYTES_MAX + 1)
    if len(content) > FILE_BYTES_MAX:
        raise FileWrongError("The file is larger than 8 MiB; split it.", "文件超过 8 MiB，请拆分。")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise FileWrongError(
        "The file is no CSV; save it as CSV with UTF-8.",
        "文件不是 CSV，请另存为 UTF-8 编码的 CSV。",
    )


def _rows(text: str) -> Iterator[NewWorker]:
    reader = csv.reader(io.StringIO(text))
    header = [_HEADERS.get(name.strip(), name.strip()) for name in next(reader, [])]
    if not {"worker_number", "document_number"} <= set(header):
        raise FileWrongError(
            "The first row has to name the columns worker_number and document_number.",
            "首行须包含“人员编号”和“证件号码”两列。",
        )
    for place, cells in enumerate(reader, 2):
        if place > ROWS_MAX + 1:
            raise FileWrongError(
                f"The file has more than {ROWS_MAX:,} rows; split it.",
                f"文件超过 {ROWS_MAX:,} 行，请拆分。",
            )
        if any(cell.strip() for cell in cells):
            named = dict(zip(header, (cell.strip() for cell in cells), strict=False))
            yield _worker({name: named.get(name, "") for name in COLUMNS}, place)


def _worker(row: dict[str, str], place: int) -> NewWorker:
    kinds = enrolment_pb2.DocumentKind
    kind = row["document_kind"].upper() or "CITIZEN_NUMBER"
    kind_names = {"身份证": "CITIZEN_NUMBER", "护照": "PASSPORT", "居住证": "RESIDENCE_PERMIT"}
    kind = kind_names.get(kind, kind)
    if kind not in kinds.keys():  # noqa: SIM118 - of a protobuf enum, which is no mapping
        raise FileWrongError(
            f"Row {place}: {kind} is no kind of document.", f"第 {place} 行：证件类型 {kind} 无效。"
        )
    try:
        day = date.fromisoformat(row["enrol_date"]) if row["enrol_date"] else None
    except ValueError:
        raise FileWrongError(
            f"Row {place}: write the day as 2025-07-01.",
            f"第 {place} 行：日期格式应为 2025-07-01。",
        ) from None
    return NewWorker(
        row["worker_number"], row["document_number"], kinds.Value(kind), row["phone"], day
    )


def _as_csv(outcomes: list[EnrolOutcome]) -> Response:
    sink = io.StringIO()
    writer = csv.writer(sink)
    writer.writerow(("file_row", "worker_number", "status", "worker"))
    for place, outcome in enumerate(outcomes, 2):
        worker = f"workers/{outcome.worker}" if outcome.worker else ""
        writer.writerow((place, harmless(text_cell(outcome.worker_number)), outcome.status, worker))
    headers = {"content-disposition": 'attachment; filename="enrolled.csv"'}
    return Response("\ufeff" + sink.getvalue(), media_type="text/csv", headers=headers)


PAGES = (
    Page("/workers", workers, PLATFORM),
    Page("/workers/enrol", enrol, PLATFORM, takes_form=True, takes_file=True),
)
