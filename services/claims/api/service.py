"""The RPCs of claims, each in the file of its desk."""

from __future__ import annotations

from oip.claims.v1 import claims_pb2_grpc

from services.claims.api.deciding import DecidingApi
from services.claims.api.filing import FilingApi
from services.claims.api.reading import ReadingApi


class ClaimApi(FilingApi, ReadingApi, DecidingApi, claims_pb2_grpc.ClaimServiceServicer):
    """Takes in accident reports and claims and determines them."""
