"""A platform's pages, and what the fund office types wrongly."""

from __future__ import annotations

import asyncio
import csv
import html
import io
import re
from datetime import datetime
from urllib.parse import urlsplit

import pytest

from services.demo.staff import platform_account
from services.kernel.identifiers import citizen_check
from services.kernel.periods import SHANGHAI
from tests.console.conftest import ProvinceConsole
from tests.support.browser import Browser, Shown

NOW = datetime(2025, 7, 20, 9, 0, tzinfo=SHANGHAI)
HEADER = ("订单编号", "骑手编号", "订单状态", "接单时间", "完成时间", "接单地区划")
_TEXTAREA = re.compile(r"<textarea[^>]*name=\"mapping\"[^>]*>(.*?)</textarea>", re.DOTALL)


@pytest.fixture(autouse=True)
def morning(province: ProvinceConsole) -> None:
    province.clock.set(NOW)


async def platform(province: ProvinceConsole, place: int = 0) -> Browser:
    code = province.platforms[place]
    return await province.signed_in(platform_account(code), code)


def orders_file(province: ProvinceConsole, name: str) -> bytes:
    """Two orders of an own worker, one of nobody, one at no known place."""
    own = province.platforms[0]
    worker = province.plan.workers[own][0].worker_number
    sink = io.StringIO()
    writer = csv.writer(sink)
    writer.writerow(HEADER)
    rows = ((worker, "440106"), (worker, "440106"), ("nobody", "440106"), (worker, "999999"))
    for number, (who, place) in enumerate(rows):
        times = (f"2025/7/8 1{number}:00", f"2025/7/8 1{number}:30")
        writer.writerow((f"{name}{number}", who, "已完成", *times, place))
    return sink.getvalue().encode()


async def upload(browser: Browser, name: str, content: bytes) -> Shown:
    page = await browser.get("/uploads")
    fields = {"csrf": page.hidden("csrf")}
    return await browser.post("/uploads", fields, files={"file": (name, content, "text/csv")})


async def test_a_file_is_mapped_checked_sent_and_its_refused_rows_listed(
    province: ProvinceConsole,
) -> None:
    browser = await platform(province)
    page = await upload(browser, "订单𠀀.csv", orders_file(province, "UP"))
    assert page.path.startswith("/uploads/"), page.text
    assert "订单𠀀.csv" in page.text
    assert "“订单编号”列" in page.text
    mapping = _TEXTAREA.search(page.text)
    assert mapping is not None
    fields = {
        "csrf": page.hidden("csrf"),
        "mapping": html.unescape(mapping[1]),
        "industry": "INSTANT_DELIVERY",
        "stage": "check",
    }
    checked = await browser.post(page.path, fields)
    assert "待发送" in checked.text, checked.text
    sent = await browser.post(page.path, {"csrf": page.hidden("csrf"), "stage": "send"})
    for _ in range(100):
        if "已发送</strong>" in sent.text.replace("\n", ""):
            break
        await asyncio.sleep(0.1)
        sent = await browser.get(page.path)
    assert "未入库的行" in sent.text, sent.text
    listed = await browser.client.get(f"{page.path}/refused")
    assert {row[1] for row in list(csv.reader(io.StringIO(listed.text)))[1:]} == {"UP2", "UP3"}
    again = await upload(browser, "订单.csv", orders_file(province, "UP"))
    assert again.status == 200

    stranger = await platform(province, 1)
    assert (await stranger.get(page.path)).status == 404
    assert (await stranger.get(f"{page.path}/refused")).status == 404


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("orders.zip", b"PK\x03\x04" + b"x" * 100),
        ("orders.parquet", b"PAR1" + b"\x00" * 64 + b"PAR1"),
        ("orders.csv", b""),
        ("orders.xlsx", b"not a workbook"),
    ],
)
async def test_a_file_that_is_none_is_refused_with_a_sentence(
    province: ProvinceConsole, name: str, content: bytes
) -> None:
    browser = await platform(province)
    page = await upload(browser, name, content)

    assert page.status == 400
    assert "请检查以下内容" in page.text


async def test_the_name_of_a_file_is_words_alone(province: ProvinceConsole) -> None:
    browser = await platform(province)
    page = await upload(browser, "../../etc/passwd<b>.csv", orders_file(province, "NA"))

    assert page.status == 200
    assert "passwd&lt;b&gt;.csv" in page.text


async def test_a_mapping_names_no_file_of_the_server(province: ProvinceConsole) -> None:
    browser = await platform(province)
    page = await upload(browser, "orders.csv", orders_file(province, "PO"))
    mapping = _TEXTAREA.search(page.text)
    assert mapping is not None
    text = html.unescape(mapping[1])
    polygons = '\n[places]\npolygons = { file = "/etc/passwd", code = "adcode" }\n'
    fields = {"csrf": page.hidden("csrf"), "mapping": text + polygons, "stage": "check"}
    refused = await browser.post(page.path, fields)

    assert refused.status == 400
    assert "命令行" in refused.text


async def test_a_file_above_the_size_is_refused_and_a_cut_one_harms_nobody(
    province: ProvinceConsole,
) -> None:
    async with province.console(upload_mebibytes=1) as url:
        browser = province.browser(url)
        code = province.platforms[0]
        await browser.sign_in(platform_account(code), code)
        assert (await upload(browser, "a.csv", b"x" * (1024 * 1024 + 1))).status == 413
        assert (await upload(browser, "a.csv", b"x" * (8 * 1024 * 1024))).status == 413
        place = urlsplit(url)
        _, writer = await asyncio.open_connection(place.hostname, place.port)
        head = "POST /uploads HTTP/1.1\r\nhost: {}\r\norigin: {}\r\ncontent-length: 9999\r\n\r\nxx"
        writer.write(head.format(place.netloc, url).encode())
        await writer.drain()
        writer.close()
        assert (await browser.get("/uploads")).status == 200


async def test_workers_are_enrolled_from_a_list_with_an_outcome_for_each(
    province: ProvinceConsole,
) -> None:
    browser = await platform(province)
    body = "44010619930303777"
    rows = f"人员编号,证件号码\nC-1,{body}{citizen_check(body)}\nC-2,123\n"
    page = await browser.get("/workers/enrol")
    fields = {"csrf": page.hidden("csrf"), "request_id": page.hidden("request_id")}
    for _ in range(2):
        answer = await browser.post(
            "/workers/enrol", fields, files={"file": ("a.csv", rows.encode("gb18030"), "text/csv")}
        )
        assert "C-2" in answer.text
        assert ">C-1<" not in answer.text
    found = await browser.get("/workers?number=C-1")
    assert "没有以该编号参保的人员" not in found.text
    wrong = await browser.post("/workers/enrol", fields, files={"file": ("a.csv", b"a,b\n1,2\n")})
    assert wrong.status == 400


async def test_a_day_is_declared_and_shows_in_the_calendar(province: ProvinceConsole) -> None:
    browser = await platform(province)
    page = await browser.get("/platform/declare?day=2025-07-02")
    counts = re.findall(r'name="(count\.[\d.]+)" value="(\d+)"', page.text)
    wrong = await browser.send(page, stage="send", **dict(counts), new__0="many")
    assert wrong.status == 400
    entries = {**dict(counts), "new.0.area": "440300", "new.0.industry": "2", "new.0": "999"}
    done = await browser.send(page, stage="send", **entries)

    assert done.path == "/platform", done.text
    assert "已申报" in done.text
    assert "oip-calendar__day--" in done.text


@pytest.mark.parametrize("amount", ["1,2,3.999", "-", "1e9", "９９９", "9" * 30])
async def test_an_amount_that_is_none_is_said_next_to_its_field(
    province: ProvinceConsole, amount: str
) -> None:
    officer = await province.signed_in("officer-li")
    page = await officer.get("/fund/payments/2025-07/disburse")
    answer = await officer.send(page, amount_fen=amount, stage="check")

    assert answer.status == 400
    assert 'id="amount-fen-error"' in answer.text
