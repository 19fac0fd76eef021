"""The fictional persons who act in the month: each is another person, with the roles needed."""

from __future__ import annotations

import json

from services.demo.scenario import Scenario
from services.runtime.rpc.tokens import DEVELOPMENT_ISSUER

SINCE = "2000-01-01"
# Account, name and role; of every platform one more person acts (`platform_account`).
PERSONS = (
    ("administrator-1", "Qian Administrator", "administrator"),
    ("demo", "Zhao Verifier", "administrator"),
    ("adjudicator-1", "Sun Adjudicator", "adjudicator"),
    ("appraiser-1", "Zhou Appraiser", "appraiser"),
    ("fund_officer-1", "He Officer", "fund_officer"),
    ("officer-li", "Li Officer", "fund_officer"),
    ("chief-wu", "Wu Chief", "fund_approver"),
    ("fund_approver-1", "Cao Approver", "fund_approver"),
    # Those who sign what others made.
    ("administrator-2", "Shi Administrator", "administrator"),
    ("adjudicator-2", "Lu Adjudicator", "adjudicator"),
    ("appraiser-2", "Tang Appraiser", "appraiser"),
    ("fund_officer-2", "Kong Officer", "fund_officer"),
    ("fund_approver-2", "Yan Approver", "fund_approver"),
)
SPECIALIST_COUNT = 6


def specialist_account(number: int) -> str:
    """The account of a specialist who sits on panels, numbered from 1."""
    return f"specialist-{number}"


def platform_account(credit_code: str) -> str:
    """The account of the person who acts for a platform."""
    return f"platform-{credit_code}"


def first_members(scenario: Scenario) -> bytes:
    """The file of first members of the staff register, for the month's persons."""
    tables = [_table(account, name, role) for account, name, role in PERSONS]
    tables += [
        _table(specialist_account(number), f"Specialist {number}", "specialist")
        for number in range(1, SPECIALIST_COUNT + 1)
    ]
    tables += [
        _table(platform_account(company.credit_code), company.name, "platform", company.credit_code)
        for company in scenario.companies
    ]
    return "\n".join(tables).encode()


def _table(account: str, name: str, role: str, platform: str = "") -> str:
    issuer, subject = json.dumps(DEVELOPMENT_ISSUER), json.dumps(account)
    place = f", platform = {json.dumps(platform)}" if platform else ""
    return "\n".join(
        (
            "[[member]]",
            f"display_name = {json.dumps(name, ensure_ascii=False)}",
            f"identity_number = {json.dumps('FICTIONAL-' + account)}",
            f"accounts = [{{issuer = {issuer}, subject = {subject}}}]",
            f"grants = [{{role = {json.dumps(role)}, from_date = {SINCE}{place}}}]",
            "",
        )
    )
