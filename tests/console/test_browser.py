"""The pages in Debian's Chromium: nothing is refused, cut or wider than the window.

Without Chromium these tests are skipped; the pictures stay in build/screenshots to be looked at.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, Request, async_playwright

from services.demo.staff import platform_account
from services.kernel.periods import SHANGHAI
from tests.console.conftest import ProvinceConsole

CHROMIUM = shutil.which("chromium")
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
WIDTHS = {"desk": 1200, "phone": 390}
# By person: the pages that people open first.
PAGES: dict[str, tuple[str, ...]] = {
    "adjudicator-1": (
        "/",
        "/claims?tab=all",
        "/claims/{claim}",
        "/claims/{claim}/accept",
        "/claims/{claim}/determine",
        "/signatures",
        "/records",
        "/records/evidence?claim=claims%2F{claim}",
    ),
    "platform": (
        "/",
        "/platform?month=2025-07",
        "/uploads",
        "/workers",
        "/workers/enrol",
        "/bills",
        "/claims",
        "/accidents/report",
    ),
    "officer-li": ("/fund?month=2025-07", "/fund/settlement/2025-07", "/bills", "/awards"),
    "appraiser-1": ("/appraisals",),
    "administrator-1": ("/operations", "/operations/invariants"),
}

# Set where Chromium has to be there, so that nobody takes skipped tests for passed ones.
REQUIRED = "OIP_CHROMIUM_REQUIRED" in os.environ

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and not REQUIRED, reason="Chromium is not installed"
)

Tab: TypeAlias = tuple[Page, list[str]]


@pytest.fixture(scope="module")
async def chromium() -> AsyncIterator[Browser]:
    assert CHROMIUM is not None, "install Debian's packages chromium and fonts-noto-cjk"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        await browser.close()


async def opened(chromium: Browser, url: str, width: int, language: str) -> Tab:
    """A tab that notes what the browser refuses."""
    context = await chromium.new_context(viewport={"width": width, "height": 900})
    page = await context.new_page()
    page.set_default_timeout(120_000)  # milliseconds; other tests use the machine, too
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.on("requestfailed", lambda request: refused.extend(failed(request)))
    await page.goto(f"{url}/sign-in")
    if language == "en":
        await page.click("button[name=language]")
    return page, refused


def failed(request: Request) -> list[str]:
    """A request that failed, unless the browser left the page before it was answered."""
    return [] if request.failure == "net::ERR_ABORTED" else [f"{request.url} {request.failure}"]


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("width", WIDTHS)
async def test_pages_fit_and_nothing_is_refused(
    chromium: Browser, province: ProvinceConsole, width: str, language: str
) -> None:
    province.clock.set(datetime(2025, 7, 10, 9, 0, tzinfo=SHANGHAI))
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    own = province.platforms[0]
    values = {"claim": province.claims[0], "platform": own}
    for account, paths in PAGES.items():
        named = platform_account(own) if account == "platform" else account
        page, refused = await opened(chromium, province.url, WIDTHS[width], language)
        await page.click(f'button[value^="{named}|"]')
        for path in paths:
            answer = await page.goto(province.url + path.format(**values))
            assert answer is not None
            assert answer.status == 200, path
            name = path.partition("?")[0].format(claim="claim", platform="own").strip("/")
            file = f"{account}-{name.replace('/', '-') or 'home'}-{language}-{width}.png"
            await page.screenshot(path=SCREENSHOTS / file, full_page=True)
            wide = await page.evaluate("document.documentElement.scrollWidth > innerWidth")
            assert not wide, f"{path} is wider than the window"
            if (width, language) == ("desk", "zh"):
                assert await serious(page) == [], path
        assert refused == []
        await page.context.close()


async def serious(page: Page) -> list[str]:
    """What axe calls serious or critical on a page: contrast, labels, order, names."""
    results = await Axe().run(page)
    return [
        f"{violation['id']}: {violation['nodes'][0]['html'][:160]}"
        for violation in results.response["violations"]
        if violation["impact"] in {"serious", "critical"}
    ]


async def test_a_claim_is_accepted_with_the_keyboard_alone(
    chromium: Browser, province: ProvinceConsole
) -> None:
    page, _ = await opened(chromium, province.url, 1200, "zh")
    await page.click('button[value^="adjudicator-1|"]')
    await page.goto(f"{province.url}/claims/{province.claims[3]}/accept")
    await page.keyboard.press("Tab")
    skip = await page.evaluate("document.activeElement.getAttribute('href')")
    assert skip == "#main-content"
    await page.focus("button[value=check]")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("button[value=send]")
    await page.focus("button[value=send]")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".govuk-notification-banner")
    await page.context.close()
