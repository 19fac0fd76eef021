from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from services.kernel.periods import Month
from tests.integration.benefits.builders import concluded, consume, determined, run_payments
from tests.support.command_line import oip
from tests.support.stack_client import StackClient

KIN = """
[[survivors]]
id = "mother"
relation = "parent"
born = 1950-01-01
supported = true
support_document = "register.pdf"

[[survivors]]
id = "grandchild"
relation = "grandchild"
born = 2020-01-01
supported = true
support_document = "register.pdf"
nearer_kin = "able"
"""


async def test_the_command_line_records_a_death_with_kin_and_shows_what_comes_back(
    client: StackClient, tmp_path: Path
) -> None:
    await consume(client, determined(), concluded(3))
    client.set_day(date(2025, 9, 20))
    await run_payments(client, Month(2025, 9))
    token = client.stack.issuer.issue("li", ["fund_officer"], "", timedelta(minutes=5))
    options = (client.stack.settings.state_dir, "--token", token)
    (tmp_path / "register.pdf").write_bytes(b"a register")
    (tmp_path / "kin.toml").write_text(KIN, encoding="utf-8")
    (tmp_path / "wrong.toml").write_text('[[survivors]]\nid = "x"\nrelation = "friend"')
    shown = ("--document", tmp_path / "register.pdf", "--reason", "certificate 17")
    kin = ("--kin", tmp_path / "kin.toml", "--request-id", "death-1")

    wrong = await oip(
        *options,
        *("lives", "dead", "claims/c1", "2025-08-20", *shown, "--kin", tmp_path / "wrong.toml"),
    )
    waiting = await oip(*options, "lives", "dead", "claims/c1", "2025-08-20", *shown, *kin)
    await client.sign_waiting("benefits")
    done = await oip(*options, "lives", "dead", "claims/c1", "2025-08-20", *shown, *kin)
    listed = await oip(*options, "lives", "list", "--claim", "c1", "--format", "json")
    recoveries = await oip(*options, "recoveries", "list", "--claim", "claims/c1")

    assert (wrong.exit_code, done.exit_code, listed.exit_code) == (2, 0, 0), done.output
    assert "friend is not known here; choose one of spouse" in wrong.stderr
    assert "oip acts" in waiting.output
    assert '"state": "DEAD"' in listed.stdout
    assert '"day": "2025-08-20"' in listed.stdout
    assert "grandchild (grandchild) is not supported" in listed.stdout
    assert "2,779.04" in recoveries.stdout
