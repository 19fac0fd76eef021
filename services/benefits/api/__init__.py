"""The RPCs of benefits: parse, open the transaction, call a command or a store, format."""

from services.benefits.api.servicer import BenefitApi

__all__ = ["BenefitApi"]
