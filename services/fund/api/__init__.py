"""Entrance for RPC: parse, ask others, open the transaction, call a command, format."""

from services.fund.api.servicer import FundApi

__all__ = ["FundApi"]
