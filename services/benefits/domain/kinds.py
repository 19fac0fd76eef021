"""The kinds of benefit, and which of them are paid monthly or against bills."""

from __future__ import annotations

from enum import Enum


class BenefitKind(Enum):
    """The kinds of benefit, numbered as in the proto."""

    MEDICAL_BENEFIT = 1
    REHABILITATION = 2
    ASSISTIVE_DEVICE = 3
    HOSPITAL_MEALS = 4
    TRAVEL = 5
    TREATMENT_ALLOWANCE = 6
    CARE_ALLOWANCE = 7
    DISABILITY_GRANT = 8
    DISABILITY_ALLOWANCE = 9
    DISABILITY_SETTLEMENT = 10
    FUNERAL_GRANT = 11
    DEATH_GRANT = 12
    SURVIVOR_PENSION = 13

    @property
    def slug(self) -> str:
        """The kind as resource names have it: `survivor-pension`."""
        return self.name.lower().replace("_", "-")


PERIODIC = frozenset(
    {
        BenefitKind.CARE_ALLOWANCE,
        BenefitKind.DISABILITY_ALLOWANCE,
        BenefitKind.SURVIVOR_PENSION,
    }
)
EXPENSES = frozenset(
    {
        BenefitKind.MEDICAL_BENEFIT,
        BenefitKind.REHABILITATION,
        BenefitKind.ASSISTIVE_DEVICE,
        BenefitKind.HOSPITAL_MEALS,
        BenefitKind.TRAVEL,
    }
)
# Paid once per person, whatever the accident.
PER_PERSON = frozenset({BenefitKind.FUNERAL_GRANT, BenefitKind.DEATH_GRANT})
