"""`oip claims` as people type it."""

from __future__ import annotations

from datetime import timedelta

from tests.integration.claims.conftest import A, at, enrol, file
from tests.support import command_line
from tests.support.stack_client import StackClient


async def oip(client: StackClient, *arguments: str) -> tuple[int, str]:
    """The exit code and the output, called by an adjudicator."""
    token = client.stack.issuer.issue("li", ["adjudicator"], "", timedelta(minutes=5))
    result = await command_line.oip(
        client.stack.settings.state_dir, "--token", token, "claims", *arguments
    )
    return result.exit_code, result.output


async def oip_signed(client: StackClient, *arguments: str) -> tuple[int, str]:
    """The same for an act that another adjudicator signs: it is sent again after the signature."""
    repeated = (*arguments, "--request-id", client.new_id())
    await oip(client, *repeated)
    await client.sign_waiting("claims")
    return await oip(client, *repeated)


async def test_an_adjudicator_says_which_filings_are_about_one_accident(
    client: StackClient,
) -> None:
    worker = await enrol(client, A)
    first = await file(client, worker, at("10:20"))
    second = await file(client, worker, at("12:20"))
    third = await file(client, worker, at("14:20"))

    code, waiting = await oip(client, "filings", "--open")
    assert code == 0
    assert f"{second.name}: WORKER reports 2025-07-15 12:20:00 in 440106; PENDING" in waiting
    assert f"near in time: {first.name}" in waiting

    code, output = await oip(
        client, "distinct", second.name, "--code", "two-events", "--reason", "Two pictures."
    )
    assert code == 2
    assert first.name in output
    code, output = await oip_signed(
        client,
        *("distinct", second.name, "--code", "two-events", "--reason", "Two pictures."),
        *("--from", first.name),
    )
    assert (code, output.strip()) == (0, f"{second.name} is a claim about an accident of its own.")

    code, output = await oip(client, "contest", third.name, "--reason", "It was another fall.")
    assert (code, output.strip()) == (0, f"{third.name} waits for an adjudicator's answer.")
    code, output = await oip(
        client, "same", third.name, "--code", "same-injury", "--reason", "One fracture."
    )
    assert code == 2
    assert first.name in output
    assert second.name in output
    code, output = await oip(
        client,
        *("same", third.name, "--code", "same-injury", "--reason", "One fracture."),
        *("--claim", second.name),
    )
    assert (code, output.strip()) == (0, f"{third.name} is part of {second.name}.")

    code, listed = await oip(client, "accidents", "--worker", f"workers/{worker}")
    assert code == 0
    assert second.name in listed
    code, output = await oip_signed(
        client,
        *("merge", first.name, second.name, "--code", "filed-twice", "--reason", "One fall."),
    )
    assert code == 0
    assert output.startswith(f"{second.name} is part of {first.name}, revision ")
    code, listed = await oip(client, "filings", "--claim", first.name)
    assert "SAME (FILED_TWICE) by li: One fall." in listed
    assert "contested: It was another fall." in listed
