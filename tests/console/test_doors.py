"""Who comes in, and what a request must carry: sessions, forms, origins, headers."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from services.console.pages import all_pages
from services.console.sign_in import session_cookie, sign_in_cookie
from services.kernel.periods import SHANGHAI
from services.runtime.storage.database import Database
from tests.console.conftest import MARKUP, ProvinceConsole

NOW = datetime(2025, 7, 10, 9, 0, tzinfo=SHANGHAI)
COOKIE = session_cookie(secure=False)
SIGN_IN_COOKIE = sign_in_cookie(secure=False)


@pytest.fixture(autouse=True)
def morning(province: ProvinceConsole) -> None:
    province.clock.set(NOW)


async def test_nobody_sees_a_page_without_a_sign_in_and_comes_back_to_it(
    province: ProvinceConsole,
) -> None:
    browser = province.browser()
    for each in all_pages():
        path = each.path.replace("{", "").replace("}", "")
        shown = await browser.get(path, follow=False)
        assert shown.status == 303, path
        assert shown.headers["location"].startswith("/sign-in?after="), path

    page = await browser.get("/claims?tab=all")
    after = await browser.post(
        "/sign-in", {"csrf": page.hidden("csrf"), "person": "adjudicator-1|"}, follow=False
    )
    assert after.headers["location"] == "/claims?tab=all"


async def test_the_address_after_the_sign_in_is_one_of_this_console(
    province: ProvinceConsole,
) -> None:
    for elsewhere in ("https://evil.example/", "//evil.example", "/\\evil.example", "evil"):
        browser = province.browser()
        page = await browser.get(f"/sign-in?after={elsewhere}")
        after = await browser.post(
            "/sign-in", {"csrf": page.hidden("csrf"), "person": "adjudicator-1|"}, follow=False
        )
        assert after.headers["location"] == "/"


async def test_a_sign_in_makes_a_session_that_nobody_could_have_known_before(
    province: ProvinceConsole,
) -> None:
    browser = province.browser()
    browser.client.cookies.set(COOKIE, "chosen-by-somebody-else", domain="127.0.0.1")
    await browser.get("/sign-in")
    before = browser.client.cookies[SIGN_IN_COOKIE]
    await browser.sign_in("adjudicator-1")
    secret = next(
        cookie.value
        for cookie in browser.client.cookies.jar
        if cookie.name == COOKIE and cookie.value != "chosen-by-somebody-else"
    )

    assert secret != before
    for old in ("chosen-by-somebody-else", before):
        stranger = province.browser()
        stranger.client.cookies.set(COOKIE, old, domain="127.0.0.1")
        assert (await stranger.get("/", follow=False)).status == 303


async def test_cookies_are_for_this_host_and_for_no_script(province: ProvinceConsole) -> None:
    browser = province.browser()
    page = await browser.get("/sign-in")
    assert "samesite=lax" in page.headers["set-cookie"].lower()
    after = await browser.post(
        "/sign-in", {"csrf": page.hidden("csrf"), "person": "adjudicator-1|"}, follow=False
    )
    cookies = after.headers.get_list("set-cookie")
    session = next(each for each in cookies if each.startswith(COOKIE)).lower()

    assert "httponly" in session
    assert "samesite=strict" in session
    assert "path=/" in session
    assert "domain" not in session
    assert session_cookie(secure=True).startswith("__Host-")


async def test_behind_tls_cookies_are_bound_to_the_host(province: ProvinceConsole) -> None:
    async with province.console(url="https://console.example") as url:
        browser = province.browser(url)
        refused = await browser.get("/sign-in")
        page = await browser.get("/sign-in", host="console.example")

    assert refused.status == 421
    assert page.headers["set-cookie"].startswith("__Host-oip-sign-in=")
    assert "secure" in page.headers["set-cookie"].lower()
    assert page.headers["strict-transport-security"]


async def test_a_session_ends_without_use_and_in_any_case(province: ProvinceConsole) -> None:
    browser = await province.signed_in("adjudicator-1")
    for minutes in range(14, 8 * 60, 14):
        province.clock.set(NOW + timedelta(minutes=minutes))
        assert (await browser.get("/records", follow=False)).status == 200
    province.clock.set(NOW + timedelta(hours=8))
    assert (await browser.get("/records", follow=False)).status == 303

    province.clock.set(NOW)
    idle = await province.signed_in("adjudicator-1")
    province.clock.set(NOW + timedelta(minutes=16))
    assert (await idle.get("/records", follow=False)).status == 303


async def test_signing_out_ends_the_session_on_the_server(province: ProvinceConsole) -> None:
    browser = await province.signed_in("adjudicator-1")
    secret = browser.client.cookies[COOKIE]
    page = await browser.get("/records")
    await browser.post("/sign-out", {"csrf": page.hidden("csrf")})
    browser.client.cookies.set(COOKIE, secret, domain="127.0.0.1")

    assert (await browser.get("/records", follow=False)).status == 303


async def test_the_database_holds_no_secret_and_nothing_in_the_clear(
    province: ProvinceConsole,
) -> None:
    browser = await province.signed_in("adjudicator-1")
    secret = browser.client.cookies[COOKIE]
    database = Database(province.stack.settings.database_of("console"), "console", pool_size=1)
    async with database.read() as tx:
        rows = (await tx.execute(sa.text("select secret_hash, content from session"))).all()
    await database.close()

    assert rows
    for row in rows:
        content = bytes(row.secret_hash) + bytes(row.content)
        assert secret.encode() not in content
        assert b"adjudicator" not in content
        assert b"Sun" not in content


async def test_a_form_without_the_token_of_its_session_changes_nothing(
    province: ProvinceConsole,
) -> None:
    claim = f"/claims/{province.claims[0]}/request"
    browser = await province.signed_in("adjudicator-1")
    other = await province.signed_in("adjudicator-2")
    page = await browser.get(claim)
    foreign = (await other.get(claim)).hidden("csrf")
    for token in ("", foreign):
        answer = await browser.post(
            claim,
            {
                "csrf": token,
                "items": MARKUP,
                "stage": "send",
                "request_id": page.hidden("request_id"),
                "revision": page.hidden("revision"),
            },
        )
        assert answer.status == 403
        assert "&lt;script&gt;" in answer.text, "the entries are kept"
        assert "<script" not in answer.text
    assert "补正告知" in (await browser.get(f"/claims/{province.claims[0]}")).text


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost"]
)
async def test_a_form_of_another_site_changes_nothing(
    province: ProvinceConsole, origin: str
) -> None:
    browser = await province.signed_in("adjudicator-1")
    page = await browser.get(f"/claims/{province.claims[0]}/accept")
    fields = dict(page.hidden_fields()) | {"stage": "send"}

    assert (await browser.post(page.path, fields, origin=origin)).status == 403
    assert (await browser.post("/sign-out", fields, origin=origin)).status == 403
    assert (await browser.post("/sign-in", fields, origin=origin)).status == 403
    assert (await browser.post("/language", fields, origin=origin)).status == 403
    bare = await browser.client.post(page.path, data=fields)
    assert bare.status_code == 403


async def test_another_name_of_the_host_is_refused(province: ProvinceConsole) -> None:
    browser = await province.signed_in("adjudicator-1")

    assert (await browser.get("/records", host="rebound.example")).status == 421


async def test_a_change_is_never_made_by_a_link(province: ProvinceConsole) -> None:
    browser = await province.signed_in("adjudicator-1")
    claim = province.claims[0]
    before = (await browser.get(f"/claims/{claim}/accept")).hidden("revision")
    await browser.get(f"/claims/{claim}/accept?stage=send&csrf=x&request_id=by-a-link-1")

    assert (await browser.get(f"/claims/{claim}/accept")).hidden("revision") == before


async def test_every_page_has_the_headers_that_keep_others_out(province: ProvinceConsole) -> None:
    browser = await province.signed_in("adjudicator-1")
    for path in ("/", "/claims", "/no-such-page", "/static/console.css", "/records"):
        shown = await browser.get(path)
        policy = shown.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script-src" not in policy
        assert "unsafe" not in policy
        assert shown.headers["x-frame-options"] == "DENY"
        assert shown.headers["x-content-type-options"] == "nosniff"
    assert (await browser.get("/claims")).headers["cache-control"] == "no-store"
    assert (await browser.get("/no-such-page")).status == 404


async def test_no_page_asks_another_server_or_runs_a_script(province: ProvinceConsole) -> None:
    browser = await province.signed_in("adjudicator-1")
    paths = ("/", "/claims?tab=all", f"/claims/{province.claims[0]}", "/records")
    for path in paths:
        shown = await browser.get(path)
        assert "<script" not in shown.text
        assert " style=" not in shown.text
        assert " onclick" not in shown.text
    for name in ("govuk.css", "console.css"):
        style = (await browser.get(f"/static/{name}")).text
        assert not re.search(r"url\(|@import", style.replace("url(/assets/images/", ""))
        assert "@font-face" not in style


async def test_a_form_that_waited_for_a_sign_in_is_not_lost(province: ProvinceConsole) -> None:
    claim = province.claims[1]
    browser = await province.signed_in("adjudicator-1")
    page = await browser.get(f"/claims/{claim}/document")
    province.clock.set(NOW + timedelta(minutes=20))
    fields = dict(page.hidden_fields()) | {"kind": "INVOICE", "title": MARKUP}
    asked = await browser.post(page.path, fields)
    assert asked.status == 401
    kept = await browser.post(
        "/sign-in", {"csrf": asked.hidden("csrf"), "person": "adjudicator-1|"}
    )

    assert kept.path == "/entries"
    assert "&lt;script&gt;" in kept.text
    entries = dict(kept.hidden_fields())
    assert entries["title"] == MARKUP
    again = await browser.post(page.path, entries)
    assert again.status == 400, "the file has to be chosen again"
    assert 'value="&lt;script&gt;' in again.text


async def test_a_body_that_is_too_large_is_refused(province: ProvinceConsole) -> None:
    browser = await province.signed_in("adjudicator-1")
    page = await browser.get(f"/claims/{province.claims[0]}/request")
    answer = await browser.send(page, items="x" * (3 * 1024 * 1024), stage="check")

    assert answer.status == 413
