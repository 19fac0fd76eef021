"""`python -m services.orders`: the orders service as its own process."""

from __future__ import annotations

from services.orders.api.servicer import register
from services.orders.commands.gaps import compare_daily
from services.orders.consumers import HANDLERS
from services.orders.domain.law import LAW
from services.orders.events import GUARDS, month_ended
from services.orders.invariants import INVARIANTS, verify
from services.runtime.service.context import MonthEnd, Service
from services.runtime.service.serve import run

SERVICE = Service(
    name="orders",
    register=register,
    handlers=HANDLERS,
    invariants=INVARIANTS,
    verify=verify,
    background=compare_daily,
    guards=GUARDS,
    law=LAW,
    month_end=MonthEnd(month_ended),
)

if __name__ == "__main__":
    run(SERVICE)
