"""`oip claims` as people type it."""

from __future__ import annotations

import json
from datetime import timedelta

from tests.integration.claims.conftest import A, at, enrol, file
from tests.support import command_line
from tests.support.stack_client import StackClient


async def oip(client: StackClient, *arguments: str) -> tuple[int, str]:
    """The exit code and the output, called by an adjudicator."""
    token = client.stack.issuer.issue("li", ["adjudicator"], "", timedelta(minutes=5))
    result = await command_line.oip(client.stack.settings.state_dir, "--token", token, *arguments)
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

    code, waiting = await oip(client, "filings", "list", "--open-only", "--format", "json")
    assert code == 0
    by_name = {row["name"]: row for row in json.loads(waiting)}
    assert by_name.keys() == {second.name, third.name}
    filing = by_name[second.name]
    assert filing["state"] == "PENDING"
    assert filing["accident_time"] == "2025-07-15T12:20:00+08:00"
    assert filing["near_claims"] == [first.name]

    distinct = ("filings", "distinct", second.name, "--code", "two-events")
    code, output = await oip(client, *distinct, "--reason", "Two pictures.")
    assert code == 2
    assert first.name in output
    code, output = await oip_signed(
        client, *distinct, "--reason", "Two pictures.", "--from", first.name
    )
    assert (code, output.splitlines()[0]) == (0, second.name)

    code, output = await oip(
        client, "filings", "contest", third.name, "--reason", "It was another fall."
    )
    assert (code, output.splitlines()[0]) == (0, third.name)
    code, output = await oip(
        client, "filings", "same", third.name, "--code", "same-injury", "--reason", "One fracture."
    )
    assert code == 2
    assert first.name in output
    assert second.name in output
    code, output = await oip(
        client,
        *("filings", "same", third.name, "--code", "same-injury", "--reason", "One fracture."),
        *("--claim", second.name),
    )
    assert code == 0
    assert second.name in output

    code, listed = await oip(client, "accidents", "list", "--worker", str(worker))
    assert code == 0
    assert second.name in listed
    code, output = await oip_signed(
        client,
        *("claims", "merge", first.name, second.name),
        *("--code", "filed-twice", "--reason", "One fall."),
    )
    assert code == 0
    assert output.startswith(first.name)
    code, listed = await oip(client, "filings", "list", "--claim", first.name, "--format", "json")
    answers = [answer for filing in json.loads(listed) for answer in filing["answers"]]
    assert ("SAME", "FILED_TWICE", "li", "One fall.") in [
        (answer["answer"], answer["code"], answer["adjudicator"], answer["reason"])
        for answer in answers
    ]
    assert "It was another fall." in listed
