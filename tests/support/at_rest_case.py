"""What was said of persons while everything is said of two, for the search of what rests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.type import date_pb2
from oip.claims.v1 import claims_pb2

from services.runtime.rpc import bounds
from services.runtime.rpc.roles import role_of
from services.runtime.rpc.wire import enum_number
from tests.support import at_rest
from tests.support.stack_client import StackClient

BIRTH = date_pb2.Date(year=1931, month=3, day=17)
SHORTEST = 7
APPRAISER = enum_number(role_of("appraiser"))
DETERMINE = claims_pb2.DetermineClaimRequest


@dataclass
class Case:
    """A province in which everything was said of two persons, and the words that were used."""

    client: StackClient
    folder: Path
    # What has to be found nowhere.
    words: dict[str, bytes] = field(default_factory=dict)
    # The personal fields that a request had.
    sent: set[str] = field(default_factory=set)

    def word(self, name: str) -> str:
        """A text that stands nowhere else."""
        return f"canary {name} 金丝雀"

    def record(self, request: Message) -> None:
        """Keep what a request says of persons; short values stand elsewhere by chance."""
        for name, value in at_rest.personal_values(request):
            self.sent.add(name)
            if len(value) >= SHORTEST:
                self.words[f"{name} {len(self.words)}"] = value

    def findings(self, name: str, message: Message) -> None:
        """The texts of the findings of an answer, which say what was found of the person."""
        for number, finding in enumerate(message.findings):  # type: ignore[attr-defined]
            self.words[f"{name} finding {number}"] = finding.text.encode()
            self.words[f"{name} finding {number} zh"] = finding.text_zh.encode()


@contextmanager
def recording_into(cases: list[Case]) -> Iterator[None]:
    """Let the cases keep what each request says, where its bounds are checked."""
    check_of = bounds.check_of

    def recording(descriptor: Descriptor, today: Any) -> Callable[[Message], Message]:
        check = check_of(descriptor, today)

        def checked(request: Message) -> Message:
            for case in cases:
                case.record(request)
            return check(request)

        return checked

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "check_of", recording)
        yield
