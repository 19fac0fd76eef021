"""`oip statement` and `oip settlement` as people type them, in a separate process."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tests.integration.fund.conftest import DELIVERY, JULY, A, C, assessed, consume_e7
from tests.support import command_line
from tests.support.producers import producers_of
from tests.support.stack_client import StackClient


async def oip(client: StackClient, subject: str, *arguments: str) -> tuple[int, str, str]:
    """The exit code, stdout and stderr."""
    roles = ["fund_officer", "fund_approver", "administrator"]
    token = client.stack.issuer.issue(subject, roles, "", timedelta(minutes=5))
    done = await command_line.oip(client.stack.settings.state_dir, "--token", token, *arguments)
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.slow
async def test_a_month_is_closed_from_the_command_line(client: StackClient) -> None:
    await consume_e7(client)

    code, tried, _ = await oip(client, "li", "settlement", "trial", "2025-07", "--explain")
    assert code == 0
    assert "Risk adjustment of 441900 in 2025-07: receives 33,514.35 yuan." in tried
    assert "Settlement of 2025-07: open" in tried

    await producers_of(client).end_month(JULY)
    code, proposed, _ = await oip(client, "li", "settlement", "propose", "2025-07")
    digest = proposed.split("hash ")[1].split()[0]
    assert code == 0

    code, _, stderr = await oip(client, "li", "settlement", "approve", "2025-07", "--hash", digest)
    assert (code, stderr.strip()) == (2, "li proposed 2025-07; ask another approver to approve it.")

    code, _, _ = await oip(client, "wu", "settlement", "approve", "2025-07", "--hash", digest)
    assert code == 0
    code, _, _ = await oip(client, "li", "settlement", "close", "2025-07")
    assert code == 0

    code, shown, _ = await oip(client, "li", "statement", "2025-07")
    assert code == 0
    assert "Settlement of 2025-07: closed" in shown
    assert "close time 20" in shown
    assert digest in shown
    (row,) = (line for line in shown.splitlines() if C in line)
    assert "33,514.35" in row
    assert "486,485.65" in row

    code, replayed, _ = await oip(client, "li", "settlement", "replay", "2025-07")
    assert code == 0
    assert replayed.count(digest) == 2

    code, listed, _ = await oip(client, "li", "settlement", "list", "--format", "json")
    newest = json.loads(listed)[0]
    assert (newest["name"], newest["state"]) == ("settlementPeriods/2025-07", "CLOSED")


async def test_what_cannot_be_done_is_one_sentence_and_exit_code_2(client: StackClient) -> None:
    await client.consume("fund", assessed(JULY, (A, DELIVERY, 10, 70)))

    for arguments, sentence in (
        (("statement", "July"), "July is not a month; write it as 2025-07."),
        (("settlement", "approve", "2025-07", "--hash", "12"), "The hash has 64 hexadecimal"),
        (("settlement", "close", "2025-07"), "This is not possible now: close needs approved,"),
    ):
        code, out, stderr = await oip(client, "li", *arguments)
        assert (code, out) == (2, ""), arguments
        assert stderr.startswith(sentence), stderr
