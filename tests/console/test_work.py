"""The adjudicator's pages, and what every page promises: roles, strangers, two tabs, languages."""

from __future__ import annotations

import io
import re
from datetime import datetime

import openpyxl
import pytest

from services.console.pages import all_pages
from services.console.server import serving
from services.console.settings import ConsoleSettings
from services.demo.staff import platform_account
from services.kernel.periods import SHANGHAI
from tests.console.conftest import MARKUP, ProvinceConsole
from tests.support.browser import Browser, Shown

NOW = datetime(2025, 7, 10, 9, 0, tzinfo=SHANGHAI)
PERSONS = {
    "adjudicator-1": {"adjudicator"},
    "appraiser-1": {"appraiser"},
    "specialist-1": {"specialist"},
    "fund_officer-1": {"fund_officer"},
    "fund_approver-1": {"fund_approver"},
    "administrator-1": {"administrator"},
}


@pytest.fixture(autouse=True)
def morning(province: ProvinceConsole) -> None:
    province.clock.set(NOW)


async def decide(browser: Browser, claim: str, **facts: str) -> Shown:
    """Accept a claim, answer what the enquiry found, and sign."""
    page = await browser.get(f"/claims/{claim}/accept")
    check = await browser.send(page, stage="check")
    accepted = await browser.send(check, stage="send")
    assert "已受理" in accepted.text
    page = await browser.get(f"/claims/{claim}/determine")
    findings = await browser.send(page, stage="check", **facts)
    assert findings.status == 200, findings.text
    return findings


async def find(browser: Browser, queue: Shown, text: str) -> Shown:
    """Search from the queue."""
    return await browser.post("/search", {"csrf": queue.hidden("csrf"), "q": text})


async def test_a_claim_is_accepted_and_determined_on_its_page(province: ProvinceConsole) -> None:
    claim = province.claims[0]
    browser = await province.signed_in("adjudicator-1")
    queue = await browser.get("/claims")
    assert claim in queue.text
    findings = await decide(browser, claim, enquiry__harm_established="yes")
    assert "确认为职业伤害" in findings.text
    done = await browser.send(findings, stage="send")

    assert done.path == f"/claims/{claim}"
    assert "已作出结论" in done.text
    assert "作出结论" in (await browser.get(f"/claims/{claim}")).text


async def test_a_refusal_waits_for_another_person_who_signs_what_the_page_shows(
    province: ProvinceConsole,
) -> None:
    claim = province.claims[2]
    maker = await province.signed_in("adjudicator-1")
    findings = await decide(maker, claim, enquiry__harm_established="no")
    sent = await maker.send(findings, stage="send")
    assert sent.path.startswith("/signatures/claims/")
    assert "已提交复核签批" in sent.text
    assert "须由他人签批" in sent.text

    signer = await province.signed_in("adjudicator-2")
    assert sent.path in (await signer.get("/signatures")).text
    assert sent.path in (await signer.get("/")).text
    act = await signer.get(sent.path)
    wrong = await signer.post(act.path, dict(act.hidden_fields()) | {"hash": "00" * 32})
    assert wrong.status == 409
    signed = await signer.send(act)
    assert "事项已生效" in signed.text
    assert "不予确认" in (await signer.get(f"/claims/{claim}")).text


async def test_two_tabs_and_a_double_click_make_one_change(province: ProvinceConsole) -> None:
    claim = province.claims[1]
    browser = await province.signed_in("adjudicator-1")
    first = await browser.get(f"/claims/{claim}/request")
    second = await browser.get(f"/claims/{claim}/request")
    check = await browser.send(first, items="诊断证明\n票据", stage="check")
    done = await browser.send(check, stage="send")
    assert done.path == f"/claims/{claim}"
    assert "诊断证明、票据" in done.text
    stale = await browser.send(second, items="其他", stage="check")
    assert stale.status == 409
    assert "打开表单后内容已被更改" in stale.text
    assert "其他" in stale.text, "the entries are kept"
    again = await browser.send(check, stage="send")
    assert again.status in {200, 409}
    history = (await browser.get(f"/claims/{claim}")).text
    assert history.count("补正告知 <span") == 1


async def test_what_people_wrote_is_text_everywhere(province: ProvinceConsole) -> None:
    claim = province.claims[1]
    adjudicator = await province.signed_in("adjudicator-1")
    page = await adjudicator.get(f"/claims/{claim}/stay")
    form = await adjudicator.send(page, reason=MARKUP, stage="check")
    paths = [
        f"/claims/{claim}",
        f"/records/evidence?claim=claims%2F{claim}",
        f"/records/claims/show?name=claims%2F{claim}",
        f"/records/no{MARKUP}",
        f"/claims?tab={MARKUP}",
        f"/claims/{claim}?done={MARKUP}",
        f"/no-such-page/{MARKUP}",
    ]
    shown = [await adjudicator.get(path) for path in paths]
    search = await find(adjudicator, await adjudicator.get("/claims"), MARKUP)

    for each in (form, search, *shown):
        assert "<script" not in each.text, each.path
        assert "<img" not in each.text, each.path
    assert "&lt;script&gt;" in shown[0].text
    assert "𠀀" in shown[0].text


@pytest.mark.parametrize("account", PERSONS)
async def test_a_page_is_for_its_roles_and_none_fails(
    province: ProvinceConsole, account: str
) -> None:
    browser = await province.signed_in(account)
    roles = PERSONS[account]
    for page in all_pages():
        path = filled(page.path, province)
        shown = await browser.get(path)
        allowed = not page.roles or not page.roles.isdisjoint(roles)
        assert shown.status != 500, path
        if not allowed:
            assert shown.status == 403, path
        assert "<h1" in shown.text, path


async def test_a_platform_sees_nothing_of_another_platform_or_of_the_office(
    province: ProvinceConsole,
) -> None:
    own, other = province.platforms[0], province.platforms[1]
    browser = await province.signed_in(platform_account(own), own)
    strangers = await province.signed_in(platform_account(other), other)
    mine, theirs = province.claims[0], province.claims[2]
    assert (await browser.get(f"/claims/{mine}")).status == 200
    assert (await strangers.get(f"/claims/{theirs}")).status == 200
    for page in all_pages():
        shown = await browser.get(filled(page.path, province, claim=theirs, platform=other))
        assert shown.status != 500, page.path
        if page.roles and "platform" not in page.roles:
            assert shown.status == 403, page.path
        if "{" in page.path and not page.path.startswith("/records"):
            assert shown.status in {400, 403, 404}, page.path
        assert MARKUP not in shown.text
    for path in (
        f"/records/claims/show?name=claims%2F{theirs}",
        f"/records/order-batches?platform=platforms%2F{other}",
        f"/records/premium-bills?platform=platforms%2F{other}",
        f"/claims?worker=workers%2F1&platform=platforms%2F{other}",
    ):
        shown = await browser.get(path)
        assert shown.status in {200, 400, 403, 404}, path
        assert f'href="/claims/{theirs}"' not in shown.text, path
        assert MARKUP not in shown.text, path


def filled(path: str, province: ProvinceConsole, claim: str = "", platform: str = "") -> str:
    """An address with something in place of its parameters."""
    code = platform or province.platforms[0]
    values = {
        "service": "claims",
        "key": "claims",
        "month": "2025-07",
        "platform": code,
        "batch": "none",
        "grant": "1",
        "upload": "none",
        "name:path": f"platforms/{code}/premiumBills/2025-07",
    }
    is_claim = path.startswith("/claims")
    values["id"] = (claim or province.claims[0]) if is_claim else "0123456789abcdef"
    return re.sub(r"\{([\w:]+)\}", lambda match: values[match[1]], path)


async def test_both_languages_and_their_switch(province: ProvinceConsole) -> None:
    browser = await province.signed_in("adjudicator-1")
    chinese = await browser.get("/claims")
    assert 'lang="zh-CN"' in chinese.text
    switched = await browser.post("/language", {"language": "en", "after": "/claims?tab=all"})
    assert switched.path == "/claims"
    assert 'lang="en"' in switched.text
    assert "Claims" in switched.text
    assert "案件办理" not in switched.text


async def test_a_list_is_exported_whole_and_no_cell_is_a_formula(province: ProvinceConsole) -> None:
    browser = await province.signed_in("adjudicator-1")
    lines = (await browser.get("/claims?tab=all&as=csv")).text.splitlines()
    assert lines[0].lstrip("\ufeff").startswith("name,state")
    names = {line.split(",")[0] for line in lines[1:]}
    assert names >= {f"claims/{each}" for each in province.claims}
    evidence = f"/records/evidence?claim=claims%2F{province.claims[0]}"
    book = await browser.client.get(f"{evidence}&as=xlsx")
    sheet = openpyxl.load_workbook(io.BytesIO(book.content)).active
    assert sheet is not None
    assert any(MARKUP in str(cell.value) for row in sheet.rows for cell in row)


async def test_a_service_that_is_down_shows_a_page_and_loses_no_form(
    province: ProvinceConsole,
) -> None:
    addresses = {**province.stack.addresses, "claims": "127.0.0.1:1"}
    async with serving(
        province.stack.settings,
        ConsoleSettings(),
        addresses,
        province.clock,
        address="127.0.0.1:0",
    ) as running:
        browser = province.browser(running.url)
        await browser.sign_in("adjudicator-1")
        home = await browser.get("/")
        assert home.status == 200
        page = await browser.get("/claims")
        assert page.status == 503
        fields = {"csrf": home.hidden("csrf"), "items": MARKUP, "stage": "send"}
        lost = await browser.post(f"/claims/{province.claims[0]}/request", fields)
        assert lost.status == 503
        assert "不会丢失" in lost.text
        assert dict(lost.hidden_fields())["items"] == MARKUP


async def test_claims_are_found_by_number_document_order_and_worker(
    province: ProvinceConsole,
) -> None:
    browser = await province.signed_in("adjudicator-1")
    queue = await browser.get("/claims")
    claim = province.claims[0]
    assert (await find(browser, queue, claim)).path == f"/claims/{claim}"
    text = (await browser.get(f"/claims/{claim}")).text
    worker = re.search(r"name=workers%2F(\d+)", text)
    assert worker is not None
    by_worker = await find(browser, queue, f"workers/{worker[1]}")
    assert claim in by_worker.text
    person = next(
        each
        for people in province.plan.workers.values()
        for each in people
        if province.workers[each.worker_number] == int(worker[1])
    )
    assert claim in (await find(browser, queue, person.citizen_number)).text
    unknown = await find(browser, queue, "44010619900101001X")
    assert unknown.status == 404
