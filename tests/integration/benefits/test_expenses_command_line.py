from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.integration.benefits.builders import consume, determined
from tests.support.command_line import oip
from tests.support.stack_client import StackClient


async def test_the_command_line_names_the_award_of_a_bill_granted_before(
    client: StackClient, tmp_path: Path
) -> None:
    await consume(client, determined(), determined("claims/c2"))
    token = client.stack.issuer.issue("li", ["fund_officer"], "", timedelta(minutes=5))
    options = (client.stack.settings.state_dir, "--token", token)
    document = tmp_path / "bill.pdf"
    document.write_bytes(b"a bill")
    bill = ("2025-07-05", "--cost", "500.00", "--document", document)

    first = await oip(*options, "expenses", "grant", "claims/c1", "medical-benefit", *bill)
    again = await oip(*options, "expenses", "grant", "claims/c2", "travel", *bill)
    listed = await oip(*options, "awards", "list", "--claim", "c1")
    wrong = await oip(*options, "expenses", "grant", "claims/c1", "wages", *bill)

    name = first.stdout.splitlines()[0]
    assert (first.exit_code, again.exit_code, wrong.exit_code) == (0, 2, 2), first.output
    assert name in again.stderr
    assert name in listed.stdout
