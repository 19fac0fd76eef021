"""The next free slot goes to the tenant that holds the fewest."""

from __future__ import annotations

import asyncio

from services.runtime.base.fair_slots import FairSlots


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_tenant_that_waits_often_delays_another_by_one_slot() -> None:
    slots = FairSlots(2)
    order: list[str] = []

    async def take(tenant: str) -> None:
        await slots.acquire(tenant)
        order.append(tenant)

    greedy = [asyncio.create_task(take("a")) for _ in range(20)]
    await settle()
    modest = asyncio.create_task(take("b"))
    await settle()
    assert order == ["a", "a"]

    slots.release("a")
    await modest

    assert order == ["a", "a", "b"]
    for task in greedy:
        task.cancel()


async def test_a_tenant_at_its_most_leaves_the_rest_to_others() -> None:
    slots = FairSlots(4, most=3)
    waiting = [asyncio.create_task(slots.acquire("a")) for _ in range(9)]
    await settle()

    assert sum(task.done() for task in waiting) == 3
    await asyncio.wait_for(slots.acquire("b"), 1)
    for task in waiting:
        task.cancel()


async def test_tenants_that_hold_as_many_take_turns() -> None:
    slots = FairSlots(1)
    await slots.acquire("x")
    order: list[str] = []

    async def take(tenant: str) -> None:
        async with slots.slot(tenant):
            order.append(tenant)

    tasks = [asyncio.create_task(take(tenant)) for tenant in "aaabbc"]
    await settle()
    slots.release("x")
    await asyncio.gather(*tasks)

    assert "".join(order) == "abcaba"


async def test_a_cancelled_waiter_takes_no_slot() -> None:
    slots = FairSlots(1)
    await slots.acquire("a")
    waiting = asyncio.create_task(slots.acquire("b"))
    granted = asyncio.create_task(slots.acquire("c"))
    await settle()
    waiting.cancel()
    await settle()
    slots.release("a")
    # Cancelled at the moment when it gets the slot.
    granted.cancel()
    await settle()

    await asyncio.wait_for(slots.acquire("d"), 1)
