"""The equalisation rules of a province on a day, read from the dated parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from services.fund.domain.cells import Costs
from services.fund.domain.ledger import CELLS
from services.kernel.law import ParameterVersion
from services.kernel.money import FEN_PER_YUAN, Fen
from services.kernel.parameters import Parameter, Value

Parameters = Mapping[str, Parameter]

RISK_ADJUSTMENTS = ("m3", "swiss", "dutch", "m2", "full", "none")
# What a close reads. The other parameters serve rules that are not part of the monthly close.
CLOSE_PARAMETERS = (
    "balance_floor",
    "cell_cost_prior",
    "cell_cost_window",
    "credibility_cases",
    "deficit_compensation",
    "proportional_pooling_share",
    "retrospective_share",
    "risk_adjustment",
)


@dataclass(frozen=True)
class EqualisationRules:
    """Which rules equalise a month, with the parameter versions that say so.

    `floor` in fen per pooling area; `prior` in fen per order; `window` in months.
    """

    risk_adjustment: str
    deficit_compensation: bool
    floor: Fen
    prior: Costs
    window: int
    full_count: int
    pooled_share: Fraction
    retrospective_share: Fraction
    versions: tuple[ParameterVersion, ...] = ()

    def version(self, name: str) -> ParameterVersion:
        """The version of one parameter."""
        return next(version for version in self.versions if version.name == name)


def rules_on(
    parameters: Parameters, day: date, province: str, known: date | None = None
) -> EqualisationRules:
    """The rules in force on a day, as published by the day `known`."""
    found = {name: parameters[name].on(day, province, known) for name in CLOSE_PARAMETERS}
    risk_adjustment = str(found["risk_adjustment"].value)
    assert risk_adjustment in RISK_ADJUSTMENTS, f"risk_adjustment: {risk_adjustment!r}"
    return EqualisationRules(
        risk_adjustment=risk_adjustment,
        deficit_compensation=found["deficit_compensation"].value == "on",
        floor=found["balance_floor"].fen,
        prior=prior_costs(found["cell_cost_prior"]),
        window=int(found["cell_cost_window"].value),
        full_count=int(found["credibility_cases"].value),
        pooled_share=Fraction(found["proportional_pooling_share"].value),
        retrospective_share=Fraction(found["retrospective_share"].value),
        versions=tuple(found[name].version for name in CLOSE_PARAMETERS),
    )


def prior_costs(value: Value) -> Costs:
    """Fen per order by industry, from yuan per order."""
    return {cell: Fraction(value.at(cell.name)) * FEN_PER_YUAN for cell in CELLS}
