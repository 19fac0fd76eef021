"""The persons who act in the month, each with a token of their role."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import grpc
from oip.operations.v1 import operations_pb2, operations_pb2_grpc

from services.client.channels import Channels, RemoteProblem
from services.demo.second_persons import SigningChannels
from services.demo.staff import platform_account
from services.kernel.periods import SHANGHAI, Month
from services.runtime.base.clock import SetClock
from services.runtime.rpc.tokens import Issuer

Stub = TypeVar("Stub")


@dataclass(frozen=True)
class Calendar:
    """The days of the simulated month, in Asia/Shanghai."""

    month: Month

    def at(self, day: int, hour: int, *, months_later: int = 0) -> datetime:
        """An hour of a day; day 31 means the last day of a shorter month."""
        month = self.month.plus(months_later)
        last = month.last_day.day
        return datetime(month.year, month.month, min(day, last), hour, tzinfo=SHANGHAI)


class Actors:
    """Channels by person; request ids start with the name of the scenario."""

    def __init__(
        self,
        addresses: Mapping[str, str],
        issuer: Issuer,
        clock: SetClock,
        scenario: str,
        calendar: Calendar,
    ) -> None:
        self._addresses = addresses
        self._issuer = issuer
        self.clock = clock
        self._scenario = scenario
        self.calendar = calendar
        self._open: dict[tuple[str, str, str, str], Channels] = {}

    def at(
        self,
        stub: Callable[[grpc.aio.Channel], Stub],
        service: str,
        role: str,
        *,
        person: str = "",
        platform: str = "",
        worker: str = "",
    ) -> Stub:
        """A stub of a service, called by a person with this role; an agent acts for `worker`."""
        subject = person or (platform_account(platform) if platform else f"{role}-1")
        key = (subject, role, platform, worker)
        if key not in self._open:
            token = self._issuer.source(subject, [role], platform, person=worker)
            self._open[key] = SigningChannels(self._addresses, token, self._sign)
        return self._open[key].stub(stub, service)

    def request_id(self, *parts: object) -> str:
        """The id of a step: the same in every run of the scenario."""
        return "-".join((self._scenario, *map(str, parts)))

    async def _sign(self, service: str, problem: RemoteProblem) -> bool:
        """Let a second person with the role that signs read the act and sign it."""
        role = problem.metadata["roles"].split(", ")[0]
        stub = self.at(operations_pb2_grpc.OperationsServiceStub, service, role, person=f"{role}-2")
        name = problem.metadata["pending_act"]
        act = await stub.GetPendingAct(operations_pb2.GetPendingActRequest(name=name))
        request = operations_pb2.SignActRequest(
            request_id=self.request_id("sign", name), name=name, hash=act.hash
        )
        await stub.SignAct(request)
        return True

    def set_clock(self, moment: datetime) -> None:
        """Set the clock of all services."""
        self.clock.set(moment)

    async def close(self) -> None:
        """Close all channels."""
        for channels in self._open.values():
            await channels.close()
