"""`oip law explain`: the findings behind a decision, in English and in Chinese."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Annotated

import typer
from oip.benefits.v1 import benefits_pb2, benefits_pb2_grpc
from oip.claims.v1 import claims_pb2, claims_pb2_grpc
from oip.fund.v1 import fund_pb2, fund_pb2_grpc
from oip.grading.v1 import grading_pb2, grading_pb2_grpc
from oip.premiums.v1 import premiums_pb2, premiums_pb2_grpc
from oip.type.v1 import type_pb2
from rich.console import Console

from services.cli.connection import Refused, connection_of, run
from services.client.channels import Channels
from services.kernel.money import Fen
from services.runtime.rpc.wire import date_from_wire

ROLES = ("fund_officer", "adjudicator", "appraiser")
FORMS = (
    "awards/{id}, appraisals/{id}, claims/{id}, claims/{id}/determinations/{number}, "
    "platforms/{credit code}/premiumBills/{month}, the same with /lines/{number}, "
    "settlementPeriods/{month}"
)

OUTCOMES_ZH = {
    "MET": "符合",
    "NOT_MET": "不符合",
    "UNCLEAR": "需人工认定",
    "CALCULATED": "计算",
}


class Language(Enum):
    """The language in which a chain is shown."""

    EN = "en"
    ZH = "zh"
    BOTH = "both"


@dataclass(frozen=True)
class Chain:
    """A decision, and the findings it rests on, in their order."""

    title: str
    findings: Sequence[type_pb2.Finding]


Reader = Callable[[Channels, str], Awaitable[list[Chain]]]


def explain(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help=f"One of {FORMS}.")],
    language: Annotated[
        Language, typer.Option(help="Language of the output.", case_sensitive=False)
    ] = Language.BOTH,
) -> None:
    """Explain a decision: provisions, parameters, inputs, arithmetic, result."""
    connection = connection_of(context)
    _reader_of(name)

    async def work() -> list[Chain]:
        async with connection.channels(*ROLES) as channels:
            return await chains_of(channels, name)

    console = Console(soft_wrap=True, highlight=False, markup=False)
    for chain in run(work):
        console.print(chain.title, style="bold")
        if not chain.findings:
            console.print("  There are no findings yet; try again after the decision.")
        for number, finding in enumerate(chain.findings, start=1):
            for line in lines(finding, number, language):
                console.print(line)


async def chains_of(channels: Channels, name: str) -> list[Chain]:
    """The chains behind a decision: one, or for a bill one per line; raises Refused."""
    return await _reader_of(name)(channels, name)


def lines(finding: type_pb2.Finding, number: int, language: Language) -> Iterable[str]:
    """One finding as lines of text."""
    provision = finding.provision
    place = f"{provision.instrument} {provision.article}".strip()
    outcome = type_pb2.Finding.Outcome.Name(finding.outcome)
    english = outcome.lower().replace("_", " ")
    outcome_shown = {
        Language.EN: english,
        Language.ZH: OUTCOMES_ZH.get(outcome, english),
        Language.BOTH: f"{english} / {OUTCOMES_ZH.get(outcome, english)}",
    }[language]
    yield f"  {number}. {place} [{provision.tag}]: {outcome_shown}"
    if language is not Language.ZH:
        yield f"     {finding.text}"
    if language is not Language.EN:
        yield f"     {finding.text_zh}"
    inputs, outputs, parameter, arithmetic = {
        Language.EN: ("inputs", "results", "parameter", "arithmetic"),
        Language.ZH: ("事实", "结果", "参数", "计算"),
        Language.BOTH: ("inputs 事实", "results 结果", "parameter 参数", "arithmetic 计算"),
    }[language]
    if finding.inputs:
        yield f"     {inputs}: {_facts(finding.inputs)}"
    for version in finding.parameters:
        since = date_from_wire(version.since_date, "since_date")
        tag = f" [{version.tag}]" if version.tag else ""
        yield (
            f"     {parameter}: {version.name} = {version.value} "
            f"(since {since}, {version.jurisdiction}, {version.source}{tag})"
        )
    if finding.arithmetic:
        yield f"     {arithmetic}: {finding.arithmetic}"
    if finding.outputs:
        yield f"     {outputs}: {_facts(finding.outputs)}"


def _facts(facts: Iterable[type_pb2.Fact]) -> str:
    return "; ".join(f"{fact.name} = {fact.value}" for fact in facts)


def _reader_of(name: str) -> Reader:
    parts = name.split("/")
    readers: dict[tuple[str, ...], Reader] = {
        ("awards",): _award,
        ("appraisals",): _appraisal,
        ("claims",): _determinations,
        ("claims", "determinations"): _determinations,
        ("platforms", "premiumBills"): _premium_lines,
        ("platforms", "premiumBills", "lines"): _premium_lines,
        ("settlementPeriods",): _settlement,
    }
    reader = readers.get(tuple(parts[0::2]))
    if reader is None or len(parts) % 2 or not all(parts):
        raise Refused(f"{name} cannot be explained; name one of {FORMS}.")
    return reader


async def _award(channels: Channels, name: str) -> list[Chain]:
    stub = channels.stub(benefits_pb2_grpc.BenefitServiceStub, "benefits")
    award = await stub.GetAward(benefits_pb2.GetAwardRequest(name=name))
    kind = benefits_pb2.BenefitKind.Name(award.kind)
    month = f" per month from {_month(award.first_month)}" if award.periodic else ""
    title = f"{award.name}: {kind}, {_yuan(award.amount_fen)}{month}, of {award.claim}"
    return [Chain("\n".join((title, *_history(award))), award.findings)]


def _history(award: benefits_pb2.Award) -> Iterable[str]:
    """What an award reimburses, its reversal, and the months that were not paid."""
    if award.erased:
        yield "  The worker was erased: the findings cannot be read any more."
    if award.HasField("bill"):
        document = award.bill.document_hash.hex()
        number = f"{award.bill.number} of {award.bill.institution}" if award.bill.number else ""
        yield f"  bill: {', '.join(filter(None, (number, document)))}"
    if award.HasField("reversal"):
        code = type_pb2.ReversalCode.Name(award.reversal.code)
        yield f"  reversed by {award.reversal.member}: {code}, {award.reversal.reason}"
    for suspension in award.suspensions:
        resumed = suspension.HasField("resume_month")
        until = f" until {_month(suspension.resume_month)}" if resumed else ""
        yield f"  not paid from {_month(suspension.first_month)}{until}: {suspension.reason}"


async def _appraisal(channels: Channels, name: str) -> list[Chain]:
    stub = channels.stub(grading_pb2_grpc.GradingServiceStub, "grading")
    appraisal = await stub.GetAppraisal(grading_pb2.GetAppraisalRequest(name=name))
    state = grading_pb2.Appraisal.State.Name(appraisal.state)
    grade = f", grade {appraisal.grade}" if appraisal.grade else ""
    return [Chain(f"{appraisal.name}: {state}{grade}, of {appraisal.claim}", appraisal.findings)]


async def _determinations(channels: Channels, name: str) -> list[Chain]:
    stub = channels.stub(claims_pb2_grpc.ClaimServiceStub, "claims")
    claim = "/".join(name.split("/")[:2])
    chains, token = [], ""
    while True:
        answer = await stub.ListDeterminations(
            claims_pb2.ListDeterminationsRequest(claim=claim, page_token=token)
        )
        for determination in answer.determinations:
            if name in {claim, determination.name}:
                outcome = claims_pb2.Determination.Outcome.Name(determination.outcome)
                chains.append(Chain(f"{determination.name}: {outcome}", determination.findings))
        token = answer.next_page_token
        if not token:
            break
    if not chains:
        raise Refused(f"There is no determination {name}; list the claim's with {claim}.")
    return chains


async def _premium_lines(channels: Channels, name: str) -> list[Chain]:
    stub = channels.stub(premiums_pb2_grpc.PremiumServiceStub, "premiums")
    bill_name, _, number = name.partition("/lines/")
    bill = await stub.GetPremiumBill(premiums_pb2.GetPremiumBillRequest(name=bill_name))
    chains = []
    for position, line in enumerate(bill.lines, start=1):
        industry = type_pb2.Industry.Name(line.industry)
        title = (
            f"{bill.name}/lines/{position}: {line.pooling_area} {industry} "
            f"{_month(line.month)}, {line.order_count:,} orders, {_yuan(line.premium_fen)}"
        )
        if number in {"", str(position)}:
            chains.append(Chain(title, line.findings))
    if not chains:
        raise Refused(f"{bill_name} has lines 1 to {len(bill.lines)}; name one of them.")
    return chains


async def _settlement(channels: Channels, name: str) -> list[Chain]:
    stub = channels.stub(fund_pb2_grpc.FundServiceStub, "fund")
    period = await stub.GetSettlementPeriod(fund_pb2.GetSettlementPeriodRequest(name=name))
    state = fund_pb2.SettlementPeriod.State.Name(period.state)
    moved = sum(max(0, pool.equalisation_fen) for pool in period.pools)
    title = f"{period.name}: {state}, {len(period.pools)} pools, {_yuan(moved)} moved between them"
    return [Chain(title, period.findings)]


def _month(month: type_pb2.Month) -> str:
    return f"{month.year:04d}-{month.month:02d}"


def _yuan(fen: int) -> str:
    return f"{Fen(fen).yuan} yuan"
