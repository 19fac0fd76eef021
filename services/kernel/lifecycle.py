"""Lifecycles as tables, which the program follows and the documentation shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from services.kernel.phrases import Phrase
from services.kernel.problems import Kind, Problem

State = TypeVar("State", bound=Enum)


class TransitionNotAllowed(Problem):
    """The change cannot be made in the state the resource is in."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "TRANSITION_NOT_ALLOWED"
    message = "This is not possible now: {event} needs {needs}, but the state is {state}."
    message_zh = "现在不能办理: {event}要求状态为{needs}, 当前状态为{state}。"


@dataclass(frozen=True)
class Lifecycle(Generic[State]):
    """The state after each event in each state: `{"determine": {ACCEPTED: DETERMINED}}`.

    `titles` has the Chinese word for each event: `{"determine": "作出结论"}`.
    """

    table: Mapping[str, Mapping[State, State]]
    titles: Mapping[str, str]

    def after(self, state: State, event: str) -> State:
        """The state after the event; raises TransitionNotAllowed with the states it needs."""
        moves = self.table[event]
        if state not in moves:
            needs = tuple(sorted(moves, key=lambda start: start.name))
            title = Phrase(event, event.replace("_", " "), self.titles[event])
            raise TransitionNotAllowed(event=title, state=state, needs=needs)
        return moves[state]

    def diagram(self) -> str:
        """The table as Markdown, for a service's README."""
        rows = [
            f"| {event} | {start.name} | {end.name} |"
            for event, moves in self.table.items()
            for start, end in moves.items()
        ]
        return "\n".join(["| event | from | to |", "|---|---|---|", *rows])
