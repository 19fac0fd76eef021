from __future__ import annotations

import re
from datetime import date, timedelta

from services.kernel.periods import Month
from tests.integration.benefits.builders import concluded, consume, determined, run_payments
from tests.support.command_line import oip
from tests.support.stack_client import StackClient

ON = ("--on", "2025-08-20")
DOCUMENT = ("--document", "粤人社函〔2025〕1号", "--document-date", "2025-08-01")


async def test_the_command_line_lists_confirms_and_revokes_assumed_values(
    client: StackClient,
) -> None:
    await consume(client, determined(), concluded(3))
    await run_payments(client, Month(2025, 8))
    token = client.stack.issuer.issue("li", ["fund_officer"], "", timedelta(minutes=5))
    options = (client.stack.settings.state_dir, "--token", token)

    before = await oip(*options, "law", "unconfirmed", *ON)
    waiting = await oip(*options, "law", "confirm", "minimum_wage", *ON, *DOCUMENT)
    await client.sign_waiting("benefits", "wang")
    after = await oip(*options, "law", "unconfirmed", "--in", "440000", *ON)
    listed = await oip(*options, "law", "confirmations")
    name = re.search(r"parameterConfirmations/\w+", listed.stdout)
    assert name is not None, listed.output
    revoke = ("law", "revoke", name[0], "--service", "benefits", "--reason", "decided otherwise")
    revoking = await oip(*options, *revoke)
    await client.sign_waiting("benefits", "wang")
    again = await oip(*options, "law", "unconfirmed", *ON)
    revoked = await oip(*options, "law", "confirmations", "--revoked")

    assert (before.exit_code, waiting.exit_code, listed.exit_code) == (0, 0, 0), waiting.output
    wage = "kernel/parameters/minimum_wage.toml: minimum_wage = 2490 (CN, from 2022-07-01)"
    assert f"{wage}, unconfirmed" in before.stdout
    assert "used by paymentRuns/2025-08/revisions/1; benefits.domain.disability" in before.stdout
    assert "by what the services of 440000 say" in before.stdout
    assert "confirmed for the province by a fund_officer, signed by a fund_approver" in (
        before.stdout
    )
    assert "oip acts show pendingActs/" in waiting.stdout
    assert wage not in after.stdout
    assert "粤人社函〔2025〕1号" in listed.stdout
    assert "2025-08-01" in listed.stdout
    assert "staffMembers/wang" in listed.stdout
    assert "oip acts show pendingActs/" in revoking.stdout
    assert f"{wage}, revoked" in again.stdout
    assert "decided otherwise" in revoked.stdout


async def test_what_cannot_be_confirmed_is_said_in_a_sentence(client: StackClient) -> None:
    token = client.stack.issuer.issue("li", ["fund_officer"], "", timedelta(minutes=5))
    options = (client.stack.settings.state_dir, "--token", token)

    strange = await oip(*options, "law", "confirm", "tea_leaves", *ON, *DOCUMENT)
    lawful = await oip(*options, "law", "confirm", "death_grant_years", *ON, *DOCUMENT)
    other = await oip(*options, "law", "unconfirmed", "--in", "310000", *ON)
    city = await oip(*options, "law", "unconfirmed", "--in", "440100", *ON)

    assert (strange.exit_code, lawful.exit_code, city.exit_code) == (2, 2, 2)
    assert "No service has an unconfirmed assumed value of tea_leaves" in strange.stderr
    assert "death_grant_years" in lawful.stderr
    assert "by the files for 310000, as the services are those of 440000" in other.stdout
    assert "minimum_wage = 2740 (310000, from 2025-07-01)" in other.stdout
    assert "440100 is not a province" in city.stderr
    assert date(2025, 8, 20).isoformat() in other.stdout
