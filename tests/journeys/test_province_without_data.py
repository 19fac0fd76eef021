"""A deployment in a place that the law does not know says what is missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2

from services.runtime.base.settings import Settings
from tests.support.databases import Databases
from tests.support.published_cases import Facts, enrol, province_stack, send, shanghai

NOWHERE = Facts(
    "no province has the code 710000 in the parameters",
    "710100",
    shanghai("2025-07-10T10:20"),
    ((shanghai("2025-07-10T10:00"), shanghai("2025-07-10T10:40")),),
)


async def test_orders_are_refused_with_the_parameter_the_place_and_the_day(
    stack: Settings,
    databases: Databases,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with province_stack(stack, databases, tmp_path, NOWHERE) as client:
        started = "".join(capsys.readouterr())
        worker = await enrol(client, NOWHERE)
        answer = await send(client, NOWHERE, worker)
        again = await send(client, replace(NOWHERE, source="again"), worker)

    for refused in (answer, again):
        assert refused.problem.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
        info = error_details_pb2.ErrorInfo()
        (detail,) = [one for one in refused.problem.details if one.Is(info.DESCRIPTOR)]
        detail.Unpack(info)
        assert info.reason == "LEGAL_PARAMETER_MISSING"
        assert (info.metadata["parameter"], info.metadata["place"], info.metadata["day"]) == (
            "pooling_areas",
            "710000",
            "2025-07-11",
        )
    assert "legal_parameter_missing" in started
    assert "pooling_areas" in started
