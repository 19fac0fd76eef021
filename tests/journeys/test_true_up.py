"""The Guangzhou rider of 2023 is paid before the area's wage is published, and trued up after it.

legal.gmw.cn/2024-11/07/content_37662193.htm: grade 8, 84,000 yuan. Facts go in by UploadOrders,
CreateClaim, DetermineClaim and OpenAppraisal; money is instructed, and the command line trues up.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from oip.benefits.v1 import benefits_pb2 as pb
from oip.claims.v1 import claims_pb2

from services.kernel.periods import Month
from services.runtime.base.settings import Settings
from services.runtime.rpc.wire import month_to_wire
from tests.support.command_line import run_oip
from tests.support.databases import Databases
from tests.support.published_cases import (
    Facts,
    awards,
    decide,
    enrol,
    province_stack,
    shanghai,
    upload,
)
from tests.support.stack_client import StackClient

GUANGZHOU_2023 = Facts(
    "legal.gmw.cn/2024-11/07/content_37662193.htm: grade 8, 84,000 yuan",
    "440100",
    shanghai("2023-03-15T10:20"),
    ((shanghai("2023-03-15T10:00"), shanghai("2023-03-15T10:40")),),
    documents=(claims_pb2.Evidence.DIAGNOSIS, claims_pb2.Evidence.TRAFFIC_CERTIFICATE),
    grade=8,
    concluded=date(2023, 6, 10),
)
# Eleven months of 60 % of the national private wage of 2022, and of the area's own wage.
NATIONAL_FEN, OWN_FEN = 3_588_035, 8_399_820


async def run_payments(client: StackClient, day: date) -> pb.PaymentRun:
    client.clock.set(datetime(day.year, day.month, day.day, 1, tzinfo=UTC))
    run: pb.PaymentRun = await client.benefits("fund_officer").InstructPayments(
        pb.InstructPaymentsRequest(
            request_id=client.new_id(), month=month_to_wire(Month(day.year, day.month))
        )
    )
    return run


async def test_the_difference_is_paid_once_the_areas_wage_is_published(
    stack: Settings, databases: Databases, tmp_path: Path
) -> None:
    async with province_stack(stack, databases, tmp_path, GUANGZHOU_2023) as client:
        worker = await enrol(client, GUANGZHOU_2023)
        await upload(client, GUANGZHOU_2023, worker)
        claim = await decide(client, GUANGZHOU_2023, worker)
        (early,) = await awards(client, GUANGZHOU_2023, claim)
        june = await run_payments(client, date(2023, 6, 20))
        client.clock.set(datetime(2023, 7, 1, 1, tzinfo=UTC))
        token = client.stack.issuer.issue("li", ["fund_officer"])

        async def oip(*arguments: str) -> Any:
            return await run_oip(
                client.stack.settings.state_dir,
                "awards",
                *arguments,
                environment={"OIP_TOKEN": token},
            )

        tried = await oip("true-up", "--dry-run")
        waiting = await oip("true-up", "--in", "440100")
        await client.sign_waiting("benefits")
        done = await oip("true-up")
        recorded = await oip("trued-up", "--claim", claim.name)
        final, besides = await awards(client, replace(GUANGZHOU_2023, concluded=None), claim)
        july = await run_payments(client, date(2023, 7, 20))
        august = await run_payments(client, date(2023, 8, 20))
        broken = await client.broken("benefits")

    assert (early.amount_fen, early.provisional) == (NATIONAL_FEN, True)
    assert june.sum_fen == NATIONAL_FEN
    assert "1 awards would change" in tried.stdout
    assert "oip acts show" in waiting.stdout
    assert "0 workers planned, 0 left." in done.stdout
    assert final.name == early.name
    assert not final.provisional
    assert (besides.adjusts, besides.amount_fen) == (final.name, OWN_FEN - NATIONAL_FEN)
    assert (july.sum_fen, august.payment_count) == (OWN_FEN - NATIONAL_FEN, 0)
    assert "all_employee_wage 12727 of 440100" in recorded.stdout
    assert broken == []
