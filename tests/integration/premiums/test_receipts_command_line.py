from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from tests.integration.premiums.builders import SWIFT, assess, get_bill, july_of_swift
from tests.support.command_line import oip
from tests.support.stack_client import StackClient

PAYMENT = (
    *("receipts", "record", f"platforms/{SWIFT}/premiumBills/2025-07"),
    *("--day", "2025-08-04", "--amount", "1.00"),
    *("--account", "6222 0001", "--number"),
)


async def sign_all(options: tuple[Any, ...]) -> str:
    """Show and sign what waits, as `options` say; what was shown of the last one."""
    listed = await oip(*options, "acts", "list")
    text = ""
    for name in re.findall(r"pendingActs/\w+", listed.stdout):
        text = (await oip(*options, "acts", "show", name)).stdout
        (digest,) = re.findall(r"^ *hash +([0-9a-f]{64})$", text, re.MULTILINE)
        signed = await oip(*options, "acts", "sign", name, "--hash", digest)
        assert signed.exit_code == 0, signed.output
        assert "staffMembers/wu" in signed.stdout
    return text


async def test_the_command_line_names_the_receipt_of_a_payment_recorded_before(
    client: StackClient,
) -> None:
    await july_of_swift(client)
    await assess(client, 2025, 7)
    token = client.stack.issuer.issue("li", ["fund_officer"], "", timedelta(minutes=5))
    options = (client.stack.settings.state_dir, "--token", token)

    waiting = await oip(*options, *PAYMENT, "B-1", "--request-id", "first")
    chief = (
        *(client.stack.settings.state_dir, "--token"),
        client.stack.issuer.issue("wu", ["fund_approver"], "", timedelta(minutes=5)),
    )
    await sign_all(chief)
    first = await oip(*options, *PAYMENT, "B-1", "--request-id", "first")
    other = await oip(*options, *PAYMENT[:6], "2.00", *PAYMENT[7:], "b 1")
    second = await oip(*options, *PAYMENT, "B-1", "--occurrence", "2")
    shown = await sign_all(chief)
    none_left = await oip(*chief, "acts", "list")
    wrong = await oip(*options, *PAYMENT[:6], "1.001", *PAYMENT[7:], "B-2")

    assert (first.exit_code, other.exit_code, second.exit_code) == (0, 2, 0), other.output
    assert first.stdout.splitlines()[0] in other.stderr
    assert "1.00 yuan" in other.stderr
    assert wrong.exit_code == 2
    assert waiting.exit_code == 0
    assert "another person with one of the roles fund_approver" in waiting.stdout
    assert "Premium receipt typed by hand" in shown
    assert '"amount_fen": "100"' in shown
    assert none_left.stdout == "There are none.\n"
    assert (await get_bill(client, SWIFT, "2025-07")).received_fen == 200
