"""`oip specialists`: the committee keeps its pool and excludes a specialist at the terminal."""

from __future__ import annotations

from datetime import timedelta

from tests.integration.grading.test_scopes import opened_appraisal
from tests.support.command_line import Result, run_oip
from tests.support.stack_client import StackClient


async def oip(client: StackClient, *arguments: str, subject: str = "li") -> Result:
    running = client.stack
    token = running.issuer.issue(subject, ["appraiser"], "", timedelta(minutes=5))
    return await run_oip(running.settings.state_dir, "--token", token, *arguments)


async def test_a_specialist_is_registered_listed_and_excluded(client: StackClient) -> None:
    opened = await opened_appraisal(client)
    registering = ("specialists", "register", "A009", "neurology", "staffMembers/A9")
    waits = await oip(client, *registering, "--request-id", "r1")
    await client.sign_waiting("grading")
    registered = await oip(client, *registering, "--request-id", "r1")
    name = registered.stdout.splitlines()[0]
    listed = await oip(client, "specialists", "list")
    excluding = ("specialists", "exclude", opened.name, name, "--code")
    waiting = await oip(client, *excluding, "interest", "--request-id", "x1")
    await client.sign_waiting("grading")
    excluded = await oip(client, *excluding, "interest", "--request-id", "x1")
    wrong = await oip(client, *excluding, "dislike")

    assert "another person" in waits.stdout
    assert "another person" in waiting.stdout
    assert "neurology" in listed.stdout
    assert excluded.stdout.splitlines()[0] == opened.name
    assert (wrong.exit_code, wrong.stderr.count("\n")) == (2, 1)
