"""The equalisation rules of a province on a day, read from the dated parameters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import Enum
from fractions import Fraction

from services.fund.domain.cells import Costs
from services.fund.domain.ledger import CELLS
from services.kernel.law import ParameterVersion
from services.kernel.lawbook import Law
from services.kernel.money import FEN_PER_YUAN, Fen
from services.kernel.parameters import Value

# The parameters of the monthly close; the others serve rules that are not part of it.
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


class RiskAdjustment(Enum):
    """The rules that level risks between pooling areas, named as in risk_adjustment.toml."""

    NEED_LESS_STRENGTH = "m3"
    SWISS = "swiss"
    DUTCH = "dutch"
    PROPORTIONAL_POOLING = "m2"
    FULL_POOLING = "full"
    NONE = "none"


@dataclass(frozen=True)
class EqualisationRules:
    """The rules that equalise a month, with the parameter versions they come from.

    `floor` in fen per pooling area; `prior` in fen per order; `window` in months; `full_count` in
    cases, 0 for no credibility weighting.
    """

    risk_adjustment: RiskAdjustment
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


def rules_on(law: Law, day: date, province: str, known: date | None = None) -> EqualisationRules:
    """The rules in force on a day, as published by the day `known`.

    Raises ValueError if the province names a risk adjustment that does not exist.
    """
    values = {name: law.on(name, day, province, known) for name in CLOSE_PARAMETERS}
    return EqualisationRules(
        risk_adjustment=RiskAdjustment(values["risk_adjustment"].value),
        deficit_compensation=values["deficit_compensation"].value == "on",
        floor=values["balance_floor"].fen,
        prior=prior_costs(values["cell_cost_prior"]),
        window=int(values["cell_cost_window"].value),
        full_count=int(values["credibility_cases"].value),
        pooled_share=Fraction(values["proportional_pooling_share"].value),
        retrospective_share=Fraction(values["retrospective_share"].value),
        versions=tuple(values[name].version for name in CLOSE_PARAMETERS),
    )


def prior_costs(value: Value) -> Costs:
    """Fen per order by industry, from yuan per order."""
    return {cell: Fraction(value.at(cell.name)) * FEN_PER_YUAN for cell in CELLS}
