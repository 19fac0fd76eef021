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

from services.cli.connection import Refused, connection_of, run
from services.cli.messages import show_messages
from services.cli.values import text_of
from services.cli.view import Format, say, view
from services.client.channels import Channels
from services.kernel.arithmetic_words import in_chinese
from services.kernel.money import Fen
from services.kernel.phrases import label
from services.runtime.rpc.wire import date_from_wire

ROLES = ("fund_officer", "adjudicator", "appraiser")
FORMS = (
    "awards/{id}, appraisals/{id}, claims/{id}, claims/{id}/determinations/{number}, "
    "platforms/{credit code}/premiumBills/{month}, "
    "platforms/{credit code}/premiumBills/{month}/lines/{number}, "
    "settlementPeriods/{month}"
)


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
        Language | None,
        typer.Option(help="Language of the output; default: both.", case_sensitive=False),
    ] = None,
) -> None:
    """Explain a decision: provisions, parameters, inputs, arithmetic, result."""
    connection = connection_of(context)
    _reader_of(name)

    async def work() -> list[Chain]:
        async with connection.channels(*ROLES) as channels:
            return await chains_of(channels, name)

    chains = run(work)
    if view().format is not Format.TABLE:
        show_messages([finding for chain in chains for finding in chain.findings])
        return
    for chain in chains:
        typer.echo(chain.title)
        if not chain.findings:
            nothing = "There are no findings yet; try again after the decision."
            typer.echo(f"  {say(nothing, '尚无认定理由; 请待作出决定后再查。')}")
        for number, finding in enumerate(chain.findings, start=1):
            for line in lines(finding, number, language or _language()):
                typer.echo(line)


def _language() -> Language:
    """Both, unless the command was given a language."""
    return Language(view().language.value) if view().is_language_set else Language.BOTH


async def chains_of(channels: Channels, name: str) -> list[Chain]:
    """The chains behind a decision: one, or for a bill one per line; raises Refused."""
    return await _reader_of(name)(channels, name)


def lines(finding: type_pb2.Finding, number: int, language: Language) -> Iterable[str]:
    """One finding as lines of text."""
    provision = finding.provision
    place = f"{provision.instrument} {provision.article}".strip()
    outcome = label("oip.type.v1.Finding.Outcome", type_pb2.Finding.Outcome.Name(finding.outcome))
    outcome_shown = {
        Language.EN: outcome.en,
        Language.ZH: outcome.zh,
        Language.BOTH: f"{outcome.en} / {outcome.zh}",
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
        from_day = f"自 {since}" if language is Language.ZH else f"since {since}"
        yield (
            f"     {parameter}: {version.name} = {version.value} "
            f"({from_day}, {version.jurisdiction}, {version.source}{tag})"
        )
    if finding.arithmetic:
        said = finding.arithmetic
        yield f"     {arithmetic}: {in_chinese(said) if language is Language.ZH else said}"
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
        raise Refused(
            "{name} cannot be explained; name one of {forms}.",
            "{name} 无法解释; 可用的名称形式: {forms}。",
            name=name,
            forms=FORMS,
        )
    return reader


async def _award(channels: Channels, name: str) -> list[Chain]:
    stub = channels.stub(benefits_pb2_grpc.BenefitServiceStub, "benefits")
    award = await stub.GetAward(benefits_pb2.GetAwardRequest(name=name))
    month = _month(award.first_month)
    monthly = say(f" per month from {month}", f", 自 {month} 起按月") if award.periodic else ""
    title = f"{award.name}: {text_of(award, 'kind')}, {_yuan(award.amount_fen)}{monthly}"
    title = f"{title}, {award.claim}"
    return [Chain("\n".join((title, *_history(award))), award.findings)]


def _history(award: benefits_pb2.Award) -> Iterable[str]:
    """What an award reimburses, its reversal, and the months that were not paid."""
    if award.erased:
        erased = "The worker was erased: the findings cannot be read any more."
        yield f"  {say(erased, '该人员的个人信息已删除: 认定理由无法再读取。')}"
    if award.HasField("bill"):
        bill = award.bill
        number = say(f"{bill.number} of {bill.institution}", f"{bill.institution} {bill.number}")
        parts = filter(None, (number if bill.number else "", bill.document_hash.hex()))
        yield f"  {say('bill', '票据')}: {', '.join(parts)}"
    if award.HasField("reversal"):
        reversal = award.reversal
        by = say(f"reversed by {reversal.member}", f"由 {reversal.member} 冲销")
        yield f"  {by}: {text_of(reversal, 'code')}, {reversal.reason}"
    for suspension in award.suspensions:
        first, last = _month(suspension.first_month), _month(suspension.resume_month)
        resumed = suspension.HasField("resume_month")
        until, until_zh = (f" until {last}", f"至 {last} ") if resumed else ("", "起")
        span = say(f"not paid from {first}{until}", f"自 {first} {until_zh}停发")
        yield f"  {span}: {suspension.reason}"


async def _appraisal(channels: Channels, name: str) -> list[Chain]:
    stub = channels.stub(grading_pb2_grpc.GradingServiceStub, "grading")
    appraisal = await stub.GetAppraisal(grading_pb2.GetAppraisalRequest(name=name))
    grade = say(f", grade {appraisal.grade}", f", {appraisal.grade} 级") if appraisal.grade else ""
    title = f"{appraisal.name}: {text_of(appraisal, 'state')}{grade}, {appraisal.claim}"
    return [Chain(title, appraisal.findings)]


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
                title = f"{determination.name}: {text_of(determination, 'outcome')}"
                chains.append(Chain(title, determination.findings))
        token = answer.next_page_token
        if not token:
            break
    if not chains:
        raise Refused(
            "There is no determination {name}; list those of {claim}.",
            "不存在结论 {name}; 请查询 {claim} 的结论。",
            name=name,
            claim=claim,
        )
    return chains


async def _premium_lines(channels: Channels, name: str) -> list[Chain]:
    stub = channels.stub(premiums_pb2_grpc.PremiumServiceStub, "premiums")
    bill_name, _, number = name.partition("/lines/")
    bill = await stub.GetPremiumBill(premiums_pb2.GetPremiumBillRequest(name=bill_name))
    chains = []
    for position, line in enumerate(bill.lines, start=1):
        count = say(f"{line.order_count:,} orders", f"{line.order_count:,} 单")
        title = (
            f"{bill.name}/lines/{position}: {line.pooling_area} {text_of(line, 'industry')} "
            f"{_month(line.month)}, {count}, {_yuan(line.premium_fen)}"
        )
        if number in {"", str(position)}:
            chains.append(Chain(title, line.findings))
    if not chains:
        raise Refused(
            "{bill} has lines 1 to {count}; name one of them.",
            "{bill} 共有 {count} 行; 请指明其一。",
            bill=bill_name,
            count=len(bill.lines),
        )
    return chains


async def _settlement(channels: Channels, name: str) -> list[Chain]:
    stub = channels.stub(fund_pb2_grpc.FundServiceStub, "fund")
    period = await stub.GetSettlementPeriod(fund_pb2.GetSettlementPeriodRequest(name=name))
    moved = _yuan(sum(max(0, pool.equalisation_fen) for pool in period.pools))
    pools = say(
        f"{len(period.pools)} pools, {moved} moved between them",
        f"{len(period.pools)} 个统筹地区, 其间调剂 {moved}",
    )
    title = f"{period.name}: {text_of(period, 'state')}, {pools}"
    return [Chain(title, period.findings)]


def _month(month: type_pb2.Month) -> str:
    return f"{month.year:04d}-{month.month:02d}"


def _yuan(fen: int) -> str:
    return f"{Fen(fen).yuan} {say('yuan', '元')}"
