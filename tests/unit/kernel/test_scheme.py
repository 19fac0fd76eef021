"""Shared enumerations: numbered as in the protos, because services store the numbers."""

from __future__ import annotations

from datetime import date
from enum import Enum
from typing import Any

import pytest
from oip.claims.v1 import claims_pb2
from oip.grading.v1 import grading_pb2
from oip.type.v1 import type_pb2

from services.kernel.scheme import (
    AppraisalLevel,
    CareDependence,
    Industry,
    NearerKin,
    Relation,
    Survivor,
)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Industry, type_pb2.Industry),
        (CareDependence, grading_pb2.CareDependence),
        (AppraisalLevel, grading_pb2.Appraisal.Level),
        (Relation, claims_pb2.Survivor.Relation),
        (NearerKin, claims_pb2.Survivor.NearerKin),
    ],
)
def test_an_enumeration_has_the_names_and_numbers_of_its_proto(
    kind: type[Enum], message: Any
) -> None:
    numbers = {name: number for name, number in message.items() if number}

    assert {member.name: member.value for member in kind} == numbers


def test_an_industry_has_a_key_for_parameter_names_and_a_chinese_name() -> None:
    assert [(industry.key, industry.zh) for industry in Industry] == [
        ("ride_hailing", "出行"),
        ("instant_delivery", "即时配送"),
        ("same_city_freight", "同城货运"),
    ]


def test_nothing_is_known_of_a_survivor_unless_recorded() -> None:
    survivor = Survivor("s1", Relation.CHILD, date(2015, 3, 9))

    assert (survivor.male, survivor.totally_disabled, survivor.alone) == (False, False, False)
    assert (survivor.supported, survivor.nearer_kin) == (None, None)
