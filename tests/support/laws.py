"""The law as a province may set it: a parameter with another value, and the rest as it stands."""

from __future__ import annotations

from dataclasses import replace

from services.kernel.lawbook import Law


def law_with(law: Law, **values: str) -> Law:
    """The law in which each named parameter has one value, on every day and in every place."""
    parameters = dict(law.parameters)
    for name, text in values.items():
        parameter = parameters[name]
        changed = tuple(replace(value, value=text) for value in parameter.values)
        parameters[name] = replace(parameter, values=changed)
    return Law(parameters, law.where, law.known)
