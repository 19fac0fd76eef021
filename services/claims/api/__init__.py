"""Entrance for RPC: parse, ask others, open the transaction, call a command, format."""

from services.claims.api.accidents import AccidentApi
from services.claims.api.servicer import ClaimApi

__all__ = ["AccidentApi", "ClaimApi"]
