"""What a page is, and all pages of the console in one table."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from starlette.responses import Response

from services.console import views
from services.console.visit import Visit

Handler: TypeAlias = Callable[[Visit], Awaitable[Response]]

ADJUDICATOR = frozenset({"adjudicator"})
PLATFORM = frozenset({"platform"})
FUND_OFFICER = frozenset({"fund_officer"})
FUND = frozenset({"fund_officer", "fund_approver"})
FUND_READERS = FUND | {"administrator"}
COMMITTEE = frozenset({"appraiser", "specialist"})
ADMINISTRATOR = frozenset({"administrator"})
SIGNERS = frozenset({"adjudicator", "appraiser", "fund_officer", "fund_approver", "administrator"})


@dataclass(frozen=True)
class Page:
    """An address, what answers it, and the roles of those whom it is offered."""

    path: str
    handler: Handler
    # Nobody in particular: every person who is signed in.
    roles: frozenset[str] = frozenset()
    takes_form: bool = False
    # The form may carry a file of the size that the settings allow.
    takes_file: bool = False


@cache
def all_pages() -> tuple[Page, ...]:
    """The pages of all modules in `views`."""
    names = sorted(module.name for module in pkgutil.iter_modules(views.__path__))
    modules = [importlib.import_module(f"{views.__name__}.{name}") for name in names]
    return tuple(page for module in modules for page in module.PAGES)
