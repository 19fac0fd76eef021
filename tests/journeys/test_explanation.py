"""Every decision of a month explains itself: provision, parameters, arithmetic, two languages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from oip.benefits.v1 import benefits_pb2, benefits_pb2_grpc
from oip.grading.v1 import grading_pb2, grading_pb2_grpc
from oip.type.v1 import type_pb2

from services.cli.explain import ROLES, Chain, Language, chains_of, lines
from services.demo import money
from services.demo.summary import summarise
from services.kernel.periods import Month
from services.runtime.rpc.client import Channels
from tests.journeys.conftest import SimulatedMonth, nothing

JULY = Month(2025, 7)


@pytest.fixture(scope="module")
async def figures(simulated: SimulatedMonth) -> dict[str, Any]:
    await simulated.enrol_and_send()
    filed = await simulated.claim()
    await simulated.grade_and_pay(filed)
    await simulated.bill()
    platforms = [company.name for company in simulated.plan.companies]
    return await summarise(simulated.actors, platforms, simulated.batches, [JULY], None)


@pytest.fixture(scope="module")
async def channels(simulated: SimulatedMonth) -> AsyncIterator[Channels]:
    opened = simulated.stack.channels("lawyer", *ROLES)
    yield opened
    await opened.close()


async def test_every_determination_explains_itself(
    figures: dict[str, Any], channels: Channels
) -> None:
    for claim in figures["claims"]:
        chain = (await chains_of(channels, claim["name"]))[-1]

        assert_explained(chain)
        assert claim["outcome"].lower() in chain.title


async def test_every_appraisal_explains_itself(
    figures: dict[str, Any], channels: Channels, simulated: SimulatedMonth
) -> None:
    names = await appraisal_names(simulated)

    assert len(names) == len(figures["appraisals"])
    for name in names:
        (chain,) = await chains_of(channels, name)
        assert_explained(chain)
        assert "GB/T 16180-2014" in instruments(chain)


async def test_every_award_explains_itself_to_the_fen(
    figures: dict[str, Any], channels: Channels, simulated: SimulatedMonth
) -> None:
    awards = await award_names(simulated)

    assert len(awards) == len(figures["awards"])
    for name, amount in awards:
        (chain,) = await chains_of(channels, name)
        assert_explained(chain)
        told = " ".join(f"{fact.value} " for finding in chain.findings for fact in finding.outputs)
        assert f"{amount} fen" in told, chain.title


async def test_every_premium_line_explains_itself_to_the_fen(
    figures: dict[str, Any], channels: Channels
) -> None:
    platforms = sorted({line["platform"] for line in figures["premium_lines"]})
    explained = 0
    for platform in platforms:
        code = platform.rpartition("/")[2]
        bill = f"platforms/{code}/premiumBills/{JULY}"
        for chain in await chains_of(channels, bill):
            assert_explained(chain)
            assert any(version.name.startswith("premium_base") for version in versions(chain))
            explained += 1
        first = await chains_of(channels, f"{bill}/lines/1")
        assert len(first) == 1

    assert explained == len(figures["premium_lines"])


async def test_a_months_settlement_explains_itself(
    simulated: SimulatedMonth, figures: dict[str, Any], channels: Channels
) -> None:
    assert figures["ledger"]["sum_fen"] == 0
    await money.disburse(simulated.actors, nothing)
    await simulated.stack.wait_until_delivered()
    await money.settle(simulated.actors, JULY, nothing)

    (chain,) = await chains_of(channels, f"settlementPeriods/{JULY}")

    assert_explained(chain)


def assert_explained(chain: Chain) -> None:
    assert chain.findings, chain.title
    for number, finding in enumerate(chain.findings, start=1):
        assert finding.provision.instrument, chain.title
        assert finding.provision.tag in {"law", "seed", "common", "assumed"}
        assert finding.outcome != type_pb2.Finding.OUTCOME_UNSPECIFIED
        english = "\n".join(lines(finding, number, Language.EN))
        chinese = "\n".join(lines(finding, number, Language.ZH))
        assert finding.text in english
        assert finding.text_zh in chinese
        assert any("\u4e00" <= letter <= "\u9fff" for letter in finding.text_zh), finding.text
        for version in finding.parameters:
            assert version.source
            assert version.tag


def instruments(chain: Chain) -> set[str]:
    return {finding.provision.instrument for finding in chain.findings}


def versions(chain: Chain) -> list[type_pb2.ParameterVersion]:
    return [version for finding in chain.findings for version in finding.parameters]


async def appraisal_names(simulated: SimulatedMonth) -> list[str]:
    stub = simulated.actors.at(grading_pb2_grpc.GradingServiceStub, "grading", "appraiser")
    listed = await stub.ListAppraisals(grading_pb2.ListAppraisalsRequest())
    return [one.name for one in listed.appraisals if one.state == grading_pb2.Appraisal.CONCLUDED]


async def award_names(simulated: SimulatedMonth) -> list[tuple[str, int]]:
    stub = simulated.actors.at(benefits_pb2_grpc.BenefitServiceStub, "benefits", "fund_officer")
    listed = await stub.ListAwards(benefits_pb2.ListAwardsRequest(page_size=1000))
    return [(one.name, one.amount_fen) for one in listed.awards]
