"""Awards of Beijing and Shanghai that wait for the wages of 2022, and the calls about them.

Beijing's wage of all employees of 2022 is published on 2023-07-01 (11,297 yuan a month), that of
Shanghai on the same day (12,183); until then that of 2021 or the national one stands in.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from oip.benefits.v1 import benefits_pb2 as pb
from oip.grading.v1 import grading_pb2

from services.kernel.periods import Month
from tests.integration.benefits.builders import (
    concluded,
    consume,
    determined,
    run_payments,
)
from tests.support.stack_client import StackClient

BEIJING, SHANGHAI = "110105", "310117"
ACCIDENT = date(2023, 2, 10)
MAY, JUNE, JULY = Month(2023, 5), Month(2023, 6), Month(2023, 7)
# 60 % of 10,628 and of 11,297 yuan a month.
BEFORE, AFTER = 637_680, 677_820


def an_injury(claim: str, area: str = BEIJING, **fields: Any) -> Any:
    number = int(claim.removeprefix("claims/c"))
    return determined(
        claim,
        worker=f"workers/{number}",
        pooling_area=area,
        accident_date=ACCIDENT,
        determine_date=date(2023, 3, 1),
        **fields,
    )


async def paid_before(client: StackClient, grade: int = 3, area: str = BEIJING) -> None:
    """A case of Beijing that was concluded in May 2023 and paid in June."""
    client.set_day(date(2023, 5, 15))
    await consume(client, an_injury("claims/c1", area))
    await consume(client, concluded(grade, grading_pb2.PARTIAL, day=date(2023, 5, 15)))
    client.set_day(date(2023, 6, 20))
    await run_payments(client, JUNE)


async def true_up(client: StackClient, request_id: str = "", **fields: Any) -> Any:
    return await client.benefits("fund_officer").TrueUpAwards(
        pb.TrueUpAwardsRequest(request_id=request_id or client.new_id(), **fields)
    )


async def provisional(client: StackClient, **fields: Any) -> list[Any]:
    answer = await client.benefits("fund_officer").ListProvisionalAwards(
        pb.ListProvisionalAwardsRequest(**fields)
    )
    return list(answer.rows)


def of_kind(true_ups: Any) -> dict[str, tuple[int, int, int, bool]]:
    return {
        pb.BenefitKind.Name(each.kind): (
            each.before_fen,
            each.after_fen,
            each.difference_fen,
            each.final,
        )
        for each in true_ups
    }


EXPECTED = {
    "DISABILITY_GRANT": (23 * BEFORE, 23 * AFTER, 23 * (AFTER - BEFORE), True),
    "DISABILITY_ALLOWANCE": (510_144, 542_256, 542_256 - 510_144, True),
    "CARE_ALLOWANCE": (318_840, 338_910, 338_910 - 318_840, True),
}
