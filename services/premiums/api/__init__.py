"""Entrance for RPC: parse, open the transaction, call a command or a store question, format."""

from services.premiums.api.servicer import PremiumApi

__all__ = ["PremiumApi"]
