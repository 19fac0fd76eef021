"""Survivors on the wire and in JSON columns."""

from __future__ import annotations

import json
from datetime import date

import pytest
from oip.claims.v1 import claims_pb2

from services.kernel.problems import GivenTwice, Malformed
from services.kernel.scheme import NearerKin, Relation, Survivor
from services.runtime.rpc.survivors import (
    survivor_from_json,
    survivor_from_wire,
    survivor_to_json,
    survivor_to_wire,
    survivors_from_wire,
)

SISTER = Survivor(
    "sister",
    Relation.SIBLING,
    date(2015, 1, 1),
    male=True,
    totally_disabled=True,
    alone=True,
    supported=False,
    support_document=bytes(range(32)),
    nearer_kin=NearerKin.UNABLE,
)
UNKNOWN = Survivor("spouse", Relation.SPOUSE, None)


@pytest.mark.parametrize("survivor", [SISTER, UNKNOWN])
def test_a_survivor_comes_back_whole(survivor: Survivor) -> None:
    assert survivor_from_wire(survivor_to_wire(survivor)) == survivor
    assert survivor_from_json(json.loads(json.dumps(survivor_to_json(survivor)))) == survivor


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("support_document_hash", b"short", "support_document_hash"),
        ("relation", 0, "relation"),
        ("relation", 17, "relation"),
        ("survivor_id", "", "survivor_id"),
        ("survivor_id", "a/b", "survivor_id"),
    ],
)
def test_what_cannot_be_is_refused_by_field(field: str, value: object, named: str) -> None:
    message = survivor_to_wire(SISTER)
    setattr(message, field, value)

    with pytest.raises(Malformed, match=named):
        survivors_from_wire([message])


def test_a_missing_birth_date_and_one_id_twice_are_refused() -> None:
    sister = survivor_to_wire(SISTER)

    with pytest.raises(Malformed):
        survivors_from_wire([survivor_to_wire(UNKNOWN)])
    with pytest.raises(GivenTwice):
        survivors_from_wire([sister, sister])
    assert survivors_from_wire([sister]) == (SISTER,)
    assert isinstance(sister, claims_pb2.Survivor)
