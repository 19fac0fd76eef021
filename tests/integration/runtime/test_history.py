"""`ListHistory`: what the audit has of a resource, newest first, with readings on request."""

from __future__ import annotations

from typing import Any

from oip.operations.v1 import operations_pb2

from services.runtime.storage import audit
from tests.support.toy_stack import ToyStack


async def entries(toys: ToyStack, name: str, **fields: Any) -> list[tuple[str, str, str]]:
    """Action, resource and member of each entry, read in pages of two."""
    rows: list[tuple[str, str, str]] = []
    request = operations_pb2.ListHistoryRequest(name=name, page_size=2, **fields)
    while True:
        page = await toys.stub("toy").ListHistory(request)
        rows += [
            (entry.action.rpartition(".")[2], entry.resource, entry.member)
            for entry in page.entries
        ]
        request.page_token = page.next_page_token
        if not request.page_token:
            return rows


async def record(toys: ToyStack, action: str, resource: str) -> None:
    context = toys.contexts["toy"]
    async with context.database.begin() as tx:
        await audit.append(
            tx,
            now=context.clock.now(),
            actor="li",
            action=f"oip.toy.v1.{action}",
            resource=resource,
            member="staffMembers/li",
        )


async def test_a_history_has_a_resource_and_its_parts_newest_first(toy_stack: ToyStack) -> None:
    for action, resource in (
        ("RingBellRequest", "bells/history"),
        ("GetBellRequest", "bells/history"),
        ("AddNoteRequest", "bells/history/notes/1"),
        ("RingBellRequest", "bells/history-2"),
        ("RingBellRequest", "bells/historyX"),
    ):
        await record(toy_stack, action, resource)

    changes = await entries(toy_stack, "bells/history")
    all_entries = await entries(toy_stack, "bells/history", include_readings=True)

    li = "staffMembers/li"
    assert changes == [
        ("AddNoteRequest", "bells/history/notes/1", li),
        ("RingBellRequest", "bells/history", li),
    ]
    # The two calls before, of which each is recorded too.
    assert [action for action, _, _ in all_entries if "History" not in action] == [
        "AddNoteRequest",
        "GetBellRequest",
        "RingBellRequest",
    ]


async def test_wildcards_in_a_name_find_nothing(toy_stack: ToyStack) -> None:
    await record(toy_stack, "RingBellRequest", "bells/wild/notes/1")

    assert await entries(toy_stack, "bells%") == []
    assert await entries(toy_stack, "bells/w_ld") == []
