"""`oip staff`: an administrator keeps the register at the terminal."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.cli import staff as commands
from services.runtime.rpc.tokens import DEVELOPMENT_ISSUER
from tests.integration.staff.conftest import Staff
from tests.support.command_line import Result, run_oip
from tests.support.platforms import SWIFT


async def oip(staff: Staff, subject: str, role: str, *arguments: str, platform: str = "") -> Result:
    running = staff.client.stack
    token = running.issuer.issue(subject, [role], platform, timedelta(minutes=5))
    return await run_oip(running.settings.state_dir, "--token", token, "staff", *arguments)


async def test_a_person_is_registered_granted_a_role_and_stopped(
    staff: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_identity_number", lambda: "7")
    cora = f"{DEVELOPMENT_ISSUER} cora"

    registered = await oip(staff, "anna", "administrator", "register", "Cora Chen", cora)
    name = registered.stdout.splitlines()[0]
    steps = [
        ("grant", name, "fund_officer", "--area", "440100", "--day-limit", "5000"),
        ("link", name, f"{DEVELOPMENT_ISSUER} cora.2"),
        ("unlink", name, cora),
        ("absence", name, "2025-08-01", "2025-08-14"),
        ("absence", name, "2025-09-01", "2025-09-14"),
        ("withdraw-absence", name, "2025-09-01", "2025-09-14"),
        ("end-sessions", name),
        ("revoke", f"{name}/grants/1", "--code", "left", "--note", "moved away"),
        ("show", name),
        ("list", "--role", "administrator"),
    ]
    results = []
    for step in steps:
        results.append(await oip(staff, "anna", "administrator", *step))
        await staff.client.sign_waiting("staff", "bert")

    assert [result.exit_code for result in (registered, *results)] == [0] * 11, [
        result.stderr for result in results
    ]
    shown = results[-2].stdout
    for part in ("Cora Chen", "cora.2", "fund officer", "440100", "5,000.00", "left", "moved away"):
        assert part in shown, shown
    assert "2025-08-01" in shown
    assert "identity" not in registered.stdout
    assert "cora" not in results[-1].stdout
    assert "2025-09-01" not in shown
    me = await oip(staff, "anna", "administrator", "me")
    assert "anna" in me.stdout


async def test_a_platform_administrator_invites_and_a_wrong_word_is_one_sentence(
    staff: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_identity_number", lambda: "8")
    boss = await staff.register("boss")
    await staff.grant(boss, "platform_administrator", platform=f"platforms/{SWIFT}")
    role = "platform_administrator"
    account = f"{DEVELOPMENT_ISSUER} kim"

    invited = await oip(
        staff,
        "boss",
        role,
        "invite",
        SWIFT,
        "Kim",
        account,
        "--until",
        "2025-12-31",
        platform=SWIFT,
    )
    wrong = [
        await oip(staff, "anna", "administrator", *arguments)
        for arguments in (
            ("grant", boss.name, "king"),
            ("revoke", f"{boss.name}/grants/1", "--code", "whim"),
            ("link", boss.name, "no-issuer"),
            ("show", "staffMembers/nobody"),
        )
    ]

    for part in ("platform", "2025-07-01", "2025-12-31", f"platforms/{SWIFT}"):
        assert part in invited.stdout
    assert [(result.exit_code, result.stderr.count("\n")) for result in wrong] == [(2, 1)] * 4
