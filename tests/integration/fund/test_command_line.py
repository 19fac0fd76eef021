"""`oip statement` and `oip settlement` as people type them, in a process of their own."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.integration.fund.conftest import DELIVERY, JULY, A, C, Office, assessed
from tests.support import command_line


async def oip(office: Office, subject: str, *arguments: str) -> tuple[int, str, str]:
    """The exit code, what was printed, and what was said on stderr."""
    roles = ["fund_officer", "fund_approver", "administrator"]
    token = office.running.issuer.issue(subject, roles, "", timedelta(minutes=5))
    done = await command_line.oip(office.running.settings.state_dir, "--token", token, *arguments)
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.slow
async def test_a_month_is_closed_from_the_command_line(office: Office) -> None:
    await office.hear_e7()

    code, tried, _ = await oip(office, "li", "settlement", "trial", "2025-07", "--explain")
    assert code == 0
    assert "Risk adjustment of 441900 in 2025-07: receives 33,514.36 yuan." in tried

    code, proposed, _ = await oip(office, "li", "settlement", "propose", "2025-07")
    digest = proposed.split("hash ")[1].split()[0]
    assert code == 0

    code, _, said = await oip(office, "li", "settlement", "approve", "2025-07", "--hash", digest)
    assert (code, said.strip()) == (2, "li proposed 2025-07; ask another approver to approve it.")

    code, _, _ = await oip(office, "wu", "settlement", "approve", "2025-07", "--hash", digest)
    assert code == 0
    code, _, _ = await oip(office, "li", "settlement", "close", "2025-07")
    assert code == 0

    code, shown, _ = await oip(office, "li", "statement", "2025-07")
    assert code == 0
    assert "CLOSED" in shown
    assert "(UTC+8, Asia/Shanghai)" in shown
    assert digest in shown
    (row,) = (line for line in shown.splitlines() if C in line)
    assert "33,514.36" in row
    assert "486,485.64" in row

    code, replayed, _ = await oip(office, "li", "settlement", "replay", "2025-07")
    assert code == 0
    assert "2025-07 is the same, byte for byte." in replayed


async def test_what_cannot_be_done_is_one_sentence_and_exit_code_2(office: Office) -> None:
    await office.hear(assessed(JULY, (A, DELIVERY, 10, 70)))

    for arguments, sentence in (
        (("statement", "July"), "July is not a month; write it as 2025-07."),
        (("settlement", "approve", "2025-07", "--hash", "12"), "The hash has 64 hexadecimal"),
        (("settlement", "close", "2025-07"), "This is not possible now: close needs APPROVED,"),
    ):
        code, out, said = await oip(office, "li", *arguments)
        assert (code, out) == (2, ""), arguments
        assert said.startswith(sentence), said
