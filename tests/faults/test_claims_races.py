"""Ten thousand pairs of filings about one accident each, sent at the same moment."""

from __future__ import annotations

from oip.claims.v1 import claims_pb2

from tests.integration.claims.conftest import A, B, at, client
from tests.support.filing_races import race_pairs
from tests.support.stack_client import StackClient

__all__ = ["client"]

PAIRS = 10_000


async def test_ten_thousand_pairs_make_one_claim_each(client: StackClient) -> None:
    outcome = await race_pairs(client, PAIRS, at("10:20"), (A, B))

    assert outcome.one_claim == PAIRS
    assert outcome.outcomes == {
        claims_pb2.Claim.OPENED: PAIRS,
        claims_pb2.Claim.ALREADY_CLAIMED: PAIRS,
    }
    assert await client.broken("claims") == []
