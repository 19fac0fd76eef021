"""`python -m services.demo`: a province's month, end to end, on servers of its own.

Every step has an id of its own and is repeated without effect: a run that was killed is taken up
again by running it again, and ends in the same figures.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import grpc
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.__main__ import all_services
from services.cli.desk import EXIT_CHECK_FAILED, EXIT_REFUSED, EXIT_UNREACHABLE
from services.demo import cases, injuries, intake, money, scenario, show
from services.demo.cases import TooFewCasesError
from services.demo.desks import Calendar, Desks
from services.demo.scenario import Scenario, ScenarioError
from services.demo.summary import summarise
from services.kernel.problems import Problem
from services.runtime.base import log as logs
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from services.runtime.embedded import CannotStartError, StateInUseError
from services.runtime.events.jetstream import NotSyncedError
from services.runtime.rpc.client import RemoteProblem, problem_of
from services.runtime.service.stack import Stack, stack
from services.runtime.storage.database import NotDurableError

SETTLE_SECONDS = 300.0
SEED = 20250701

# What ends the month before it began, each in one sentence that says what to do.
REFUSALS = (
    CannotStartError,
    NotDurableError,
    NotSyncedError,
    Problem,
    ScenarioError,
    StateInUseError,
    TooFewCasesError,
)

console = Console()


class Stages:
    """One progress bar a stage, and how long each took."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self.seconds: dict[str, float] = {}

    @asynccontextmanager
    async def stage(
        self, name: str, total: int | None = None
    ) -> AsyncIterator[Callable[..., None]]:
        """Show a stage while the block runs; call what it gives with how much more is done."""
        start = time.monotonic()
        bar = self._bars.add_task(name, total=total)
        if not console.is_terminal:
            console.print(f"{name} ...")

        def done(count: int = 1) -> None:
            self._bars.advance(bar, count)

        yield done
        final = total if total is not None else 1
        self._bars.update(bar, total=final, completed=final)
        self.seconds[name] = round(time.monotonic() - start, 2)


async def live(story: Scenario, settings: Settings, bars: Progress) -> dict[str, Any]:
    """Run the month and give its summary."""
    stages = Stages(bars)
    clock = SetClock(Calendar(story.month).at(1, 0))
    async with stages.stage("servers") as done:
        context = stack(all_services(), settings, clock=clock, any_port=True)
        running = await context.__aenter__()
        done()
    try:
        desks = Desks(running.addresses, running.issuer, clock, story.name, Calendar(story.month))
        try:
            result = await _month(story, running, desks, stages)
        finally:
            await desks.close()
    finally:
        await context.__aexit__(None, None, None)
    return result | {"seconds": stages.seconds}


async def _month(story: Scenario, running: Stack, desks: Desks, stages: Stages) -> dict[str, Any]:
    async def settled() -> None:
        await running.settled(SETTLE_SECONDS)

    async with stages.stage("platforms", len(story.companies)) as done:
        await intake.register_platforms(desks, story, done)
    async with stages.stage("workers", sum(map(len, story.workers.values()))) as done:
        ids = await intake.enrol_workers(desks, story, done)
        await settled()
    async with stages.stage("orders", story.rows.num_rows) as done:
        batches = await intake.send_orders(desks, story, ids, done)
        await settled()
    accidents = cases.choose(
        story.trips(), story.month.first_day.replace(day=injuries.LAST_ACCIDENT_DAY)
    )
    async with stages.stage("claims", 2 * len(accidents)) as done:
        filed = await injuries.file_claims(desks, accidents, ids, done)
        await injuries.determine_claims(desks, filed, done)
        await settled()
    async with stages.stage("appraisals", sum(bool(one.impairment) for one in accidents)) as done:
        await injuries.conclude_appraisals(desks, filed, done)
        await settled()
    async with stages.stage("benefits", len(accidents) + len(money.PAYMENT_RUNS)) as done:
        await injuries.grant_expenses(desks, filed, done)
        await money.instruct_payments(desks, done)
        await settled()
    async with stages.stage("premiums", len(story.months) + len(story.companies)) as done:
        await money.assess_premiums(desks, list(story.months), done)
        await money.receive_premiums(desks, list(story.months), story.late_platform, done)
        await settled()
    async with stages.stage("disbursement", len(money.PAYMENT_RUNS)) as done:
        await money.disburse(desks, done)
    async with stages.stage("settlement", 4) as done:
        await money.settle(desks, story.month, done)
        await settled()
    async with stages.stage("verification") as done:
        await show.verify(running, console)
    platforms = [company.name for company in story.companies]
    figures = await summarise(desks, platforms, batches, list(story.months), story.month)
    show.statement(console, figures)
    return figures


def main(
    orders: Annotated[
        Path | None, typer.Option(help="Order records to live the month on (Parquet, CSV).")
    ] = None,
    mapping: Annotated[Path | None, typer.Option(help="How to read them, a TOML file.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew.")] = False,
    order_count: Annotated[int, typer.Option(help="Orders to make up.")] = 200_000,
    worker_count: Annotated[int, typer.Option(help="Workers to make up.")] = 10_000,
    out: Annotated[Path, typer.Option(help="Where summary.json goes.")] = Path("build/demo"),
) -> None:
    """Live a province's month: orders, premiums, claims, benefits, settlement."""
    logs.configure(quiet=True)
    try:
        story = _story(orders, mapping, order_count, worker_count)
        settings = _settings(story, is_default=orders is None, fresh=fresh)
        with _bars() as bars:
            figures = asyncio.run(live(story, settings, bars))
    except REFUSALS as error:
        console.print(str(error), soft_wrap=True)
        sys.exit(EXIT_REFUSED)
    except (grpc.RpcError, RemoteProblem) as error:
        problem = error if isinstance(error, RemoteProblem) else problem_of(error)
        console.print(problem.sentence, soft_wrap=True)
        sys.exit(EXIT_UNREACHABLE if problem.is_unreachable else EXIT_REFUSED)
    except show.VerificationFailedError as error:
        console.print(str(error), soft_wrap=True)
        sys.exit(EXIT_CHECK_FAILED)
    out.mkdir(parents=True, exist_ok=True)
    target = out / "summary.json"
    target.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    console.print(f"The figures are in {target}. To look around: {_look(settings)}")


def _story(
    orders: Path | None, mapping: Path | None, order_count: int, worker_count: int
) -> Scenario:
    if orders is None:
        return scenario.made_up(order_count, worker_count, SEED)
    if mapping is None:
        raise ScenarioError("Order records need a mapping: add MAPPING=file.toml.")
    return scenario.from_file(orders, mapping)


def _settings(story: Scenario, *, is_default: bool, fresh: bool) -> Settings:
    settings = Settings()
    if not is_default:
        settings = settings.model_copy(update={"state_dir": settings.state_dir / story.name})
    if fresh:
        if settings.database_url or settings.nats_url:
            raise ScenarioError(
                "FRESH=1 empties only servers of the demo's own; "
                "give it an empty database and unset FRESH."
            )
        for folder in ("postgres", "nats", "keys"):
            shutil.rmtree(settings.state_dir / folder, ignore_errors=True)
    return settings


def _look(settings: Settings) -> str:
    default = Settings().state_dir
    prefix = "" if settings.state_dir == default else f"OIP_STATE_DIR={settings.state_dir} "
    return f"{prefix}make dev"


def _bars() -> Progress:
    return Progress(
        TextColumn("{task.description:<13}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


if __name__ == "__main__":
    typer.run(main)
