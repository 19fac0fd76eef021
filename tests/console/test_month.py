"""A month that is lived through pages alone, from an accident to the close, by its persons."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from services.demo.cases import Trip
from services.demo.staff import platform_account
from services.kernel.periods import SHANGHAI
from tests.console.conftest import ProvinceConsole
from tests.support.browser import Browser, Shown

SIGNERS = ("adjudicator-2", "appraiser-2", "fund_officer-2", "fund_approver-2", "administrator-2")
SPECIALISTS = range(1, 7)
ITEM = "9.23"


class Month:
    """The persons of the month, each in a browser of their own."""

    def __init__(self, province: ProvinceConsole) -> None:
        self.province = province
        self._browsers: dict[str, Browser] = {}

    async def at(self, account: str, platform: str = "") -> Browser:
        """The browser of a person, signed in anew whenever the clock has moved on."""
        key = f"{account} {self.province.clock.now()}"
        if key not in self._browsers:
            self._browsers[key] = await self.province.signed_in(account, platform)
        return self._browsers[key]

    async def platform(self) -> Browser:
        """The browser of the first company."""
        code = self.province.platforms[0]
        return await self.at(platform_account(code), code)

    async def take(self, browser: Browser, path: str, **entries: str) -> Shown:
        """Fill in a form, check it, send it; a second person signs what needs it."""
        page = await browser.get(path)
        assert page.status == 200, (path, page.text)
        check = await browser.send(page, stage="check", **entries)
        assert check.status == 200, (path, check.text)
        done = await browser.send(check, stage="send")
        assert done.status == 200, (path, done.text)
        if done.path.startswith("/signatures/"):
            await self.sign(done.path)
        return done

    async def sign(self, path: str) -> None:
        """Let the first person sign whose role it is."""
        for account in SIGNERS:
            signer = await self.at(account)
            act = await signer.get(path)
            if act.status == 200 and ">签批</button>" in act.text:
                assert "事项已生效" in (await signer.send(act)).text
                return
        raise AssertionError(f"nobody signs {path}")

    async def delivered(self) -> None:
        """Wait for the events."""
        await self.province.stack.wait_until_delivered()

    def set_clock(self, month: int, day: int, hour: int = 9) -> None:
        """Set the clock of all services and of the console."""
        self.province.clock.set(datetime(2025, month, day, hour, tzinfo=SHANGHAI))


def trip_of(province: ProvinceConsole) -> Trip:
    """An order of the first company whose worker has no claim yet."""
    own = province.platforms[0]
    seen: list[str] = []
    for trip in province.plan.trips():
        if trip.platform == own and trip.worker not in seen:
            seen.append(trip.worker)
    # The first three have the claims of the fixture.
    worker = seen[4]
    return next(
        trip for trip in province.plan.trips() if trip.worker == worker and trip.platform == own
    )


async def test_an_accident_is_paid_and_its_month_closed_through_pages_alone(
    province: ProvinceConsole,
) -> None:
    month = Month(province)
    month.set_clock(7, 20)
    claim = await file_and_determine(month)
    await month.delivered()
    month.set_clock(7, 24)
    await appraise(month, claim)
    await month.delivered()
    month.set_clock(7, 31)
    officer = await month.at("fund_officer-1")
    await month.take(
        officer,
        f"/claims/{claim}/expense",
        kind="MEDICAL_BENEFIT",
        expense_date="2025-07-08",
        allowed_cost_fen="1234.50",
        institution="First Hospital",
        bill_number="B-1",
    )
    granted = await officer.get(f"/awards?claim=claims%2F{claim}")
    assert "一次性伤残" in granted.text
    assert "医疗待遇" in granted.text
    await month.take(officer, "/fund/2025-07/instruct")
    await month.delivered()
    await close(month)


async def file_and_determine(month: Month) -> str:
    """The platform files, an adjudicator takes in, accepts and determines, another signs."""
    trip = trip_of(month.province)
    worker = f"workers/{month.province.workers[trip.worker]}"
    own = await month.platform()
    moment = (trip.accept_time + timedelta(minutes=1)).astimezone(SHANGHAI)
    filed = await month.take(
        own,
        "/accidents/claim",
        worker=worker,
        accident_time=f"{moment:%Y-%m-%dT%H:%M:%S}",
        place_of_injury=trip.place,
        description="在路口与轿车相撞。",
        situation="ORDER_EXECUTION",
    )
    assert "已提交申请" in filed.text
    adjudicator = await month.at("adjudicator-1")
    listed = await adjudicator.get(f"/claims?tab=all&worker={worker.replace('/', '%2F')}")
    found = re.search(r"/claims/([0-9a-f]{16})", listed.text)
    assert found is not None, listed.text
    claim = found[1]
    page = await adjudicator.get(f"/claims/{claim}/document")
    fields = dict(page.hidden_fields()) | {"kind": "DIAGNOSIS", "title": "诊断证明"}
    files = {"content_hash": ("诊断.pdf", b"%PDF-1.7", "application/pdf")}
    check = await adjudicator.post(page.path, fields | {"stage": "check"}, files=files)
    assert check.status == 200, check.text
    assert "诊断证明" in (await adjudicator.send(check, stage="send")).text
    await month.take(adjudicator, f"/claims/{claim}/accept")
    facts = {"enquiry__harm_established": "yes", "enquiry__disability_expected": "yes"}
    await month.take(adjudicator, f"/claims/{claim}/determine", **facts)
    assert "确认为职业伤害" in (await adjudicator.get(f"/claims/{claim}")).text
    return claim


async def appraise(month: Month, claim: str) -> None:
    """Specialists are registered and drawn, give their opinions; the committee concludes."""
    administrator = await month.at("administrator-1")
    staff = (await administrator.get("/staff")).text
    appraiser = await month.at("appraiser-1")
    for number in SPECIALISTS:
        member = re.search(rf'/staff/([0-9a-f]+)">Specialist {number}<', staff)
        assert member is not None
        await month.take(
            appraiser,
            "/specialists/register",
            specialist_number=f"S{number}",
            field="surgery",
            member=f"staffMembers/{member[1]}",
        )
    await month.take(
        await month.platform(),
        f"/applications/appraisal?claim=claims%2F{claim}",
        claim=f"claims/{claim}",
        level="FIRST",
        applicant="PLATFORM",
    )
    found = re.search(r"/appraisals/([0-9a-f]{16})", (await appraiser.get("/appraisals")).text)
    assert found is not None
    path = f"/appraisals/{found[1]}"
    await month.take(appraiser, f"{path}/draw")
    given = 0
    for number in SPECIALISTS:
        specialist = await month.at(f"specialist-{number}")
        seat = await specialist.get(path)
        if seat.status == 200 and f"{path}/opinion" in seat.text:
            await month.take(specialist, f"{path}/opinion", items=ITEM)
            given += 1
    assert given >= 3
    month.set_clock(7, 30)
    appraiser = await month.at("appraiser-1")
    concluded = await month.take(appraiser, f"{path}/conclude")
    assert "已作出鉴定结论" in concluded.text
    served = {"recipient": "RECIPIENT_WORKER", "means": "HANDED_OVER", "serve_date": "2025-07-30"}
    await month.take(appraiser, f"{path}/serve", **served)


async def close(month: Month) -> None:
    """Bills, receipts, payments of the bank, and the settlement by two persons."""
    month.set_clock(8, 1)
    officer = await month.at("officer-li")
    assert "保费已核定" in (await month.take(officer, "/fund/2025-07/assess")).text
    await month.delivered()
    for code in month.province.platforms:
        bill = f"/bills/platforms/{code}/premiumBills/2025-07"
        owed = re.search(r'oip-clock__days">([\d,.]+)<', (await officer.get(bill)).text)
        if owed is not None and owed[1] != "0.00":
            await month.take(
                officer,
                f"{bill}/receive",
                receipt_date="2025-08-01",
                amount_fen=owed[1],
                bank_reference=f"PAGE-{code}",
                receiving_account="6222000000000001",
            )
    run = await officer.get("/fund/payments/2025-07")
    for area, amount in re.findall(r"disburse\?area=(\d+)&amp;amount=([\d.]+)", run.text):
        path = f"/fund/payments/2025-07/disburse?area={area}&amount={amount}"
        entries = {"pooling_area": area, "amount_fen": amount, "disburse_date": "2025-08-01"}
        await month.take(officer, path, bank_reference=f"PAID-{area}", **entries)
    await month.delivered()
    assert "试算" in (await officer.get("/fund/settlement/2025-07")).text
    await month.take(officer, "/fund/settlement/2025-07/propose")
    approver = await month.at("chief-wu")
    await month.take(approver, "/fund/settlement/2025-07/approve")
    closed = await month.take(officer, "/fund/settlement/2025-07/close")
    assert "已结账" in closed.text
    assert "一致" in (await officer.get("/fund/settlement/2025-07/replay")).text
    assert "平衡" in (await officer.get("/fund/balance?month=2025-07")).text
