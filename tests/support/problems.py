"""Every refusal that the services define."""

from __future__ import annotations

import importlib
import pkgutil

import services
from services.kernel.problems import Problem

# Run by Alembic or as a process, not to be imported.
NOT_IMPORTED = ("__main__", "migrations", "alembic")


def all_problems() -> list[type[Problem]]:
    """All classes of Problem in the services, by name; tests define some too."""
    for module in pkgutil.walk_packages(services.__path__, "services."):
        if not any(part in module.name for part in NOT_IMPORTED):
            importlib.import_module(module.name)
    classes: set[type[Problem]] = set()
    waiting = [Problem]
    while waiting:
        for subclass in waiting.pop().__subclasses__():
            classes.add(subclass)
            waiting.append(subclass)
    ours = (problem for problem in classes if problem.__module__.startswith("services."))
    return sorted(ours, key=lambda problem: problem.__qualname__)
