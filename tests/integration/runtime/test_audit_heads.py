"""`oip verify` remembers the heads of the audit chains, and says if one went back."""

from __future__ import annotations

import json

import psycopg

from services.runtime.service.addresses import publish_addresses
from tests.support import command_line
from tests.support.toy_stack import ToyStack


async def verified(toys: ToyStack, *options: str) -> tuple[int, str]:
    with publish_addresses(toys.settings.state_dir, toys.addresses):
        done = await command_line.oip(toys.settings.state_dir, "verify", *options)
    return done.exit_code, done.output


async def audited(toys: ToyStack, count: int) -> None:
    """Wait until this many rows of echo are in its chain."""
    context = toys.contexts["echo"]
    while True:
        async with context.database.begin() as tx:
            result = await tx.exec_driver_sql("select seq from audit_head")
            if result.scalar_one() >= count:
                return


async def cut_the_chain(toys: ToyStack, last: int) -> None:
    """Remove the newest rows of the audit as somebody with the database could."""
    url = toys.settings.database_url
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute("set session_replication_role = replica")
        await connection.execute("delete from echo.audit where seq > %s", [last])
        await connection.execute(
            "update echo.audit_head set seq = %s, hash = (select hash from echo.audit"
            " where seq = %s)",
            [last, last],
        )


async def test_a_chain_that_goes_on_is_remembered(toy_stack: ToyStack) -> None:
    await toy_stack.ring("a", 2)
    await toy_stack.delivered()
    await audited(toy_stack, 2)
    assert (await verified(toy_stack))[0] == 0
    await toy_stack.ring("a")
    await toy_stack.delivered()
    await audited(toy_stack, 3)
    assert (await verified(toy_stack))[0] == 0
    kept = json.loads((toy_stack.settings.state_dir / "audit-heads.json").read_text())
    assert kept["echo"]["seq"] == 3


async def test_a_chain_that_went_back_is_named_until_it_is_accepted(toy_stack: ToyStack) -> None:
    await toy_stack.ring("a", 3)
    await toy_stack.delivered()
    await audited(toy_stack, 3)
    assert (await verified(toy_stack))[0] == 0
    await cut_the_chain(toy_stack, 2)

    for _ in range(2):
        code, shown = await verified(toy_stack)
        assert code == 1
        assert "the audit chain of echo went back from row 3 to 2" in shown
    assert (await verified(toy_stack, "--accept-heads"))[0] == 0
    assert (await verified(toy_stack))[0] == 0


async def test_a_chain_that_went_back_and_grew_again_is_another(toy_stack: ToyStack) -> None:
    await toy_stack.ring("a", 3)
    await toy_stack.delivered()
    await audited(toy_stack, 3)
    assert (await verified(toy_stack))[0] == 0
    await cut_the_chain(toy_stack, 2)
    await toy_stack.ring("b", 2)
    await toy_stack.delivered()
    await audited(toy_stack, 4)

    code, shown = await verified(toy_stack)
    assert code == 1
    assert "the audit chain of echo has another row 3 than before" in shown


async def test_a_file_that_holds_no_heads_is_refused(toy_stack: ToyStack) -> None:
    (toy_stack.settings.state_dir / "audit-heads.json").write_text("[]")
    code, shown = await verified(toy_stack)
    assert (code, "holds no audit heads" in shown) == (2, True), shown
