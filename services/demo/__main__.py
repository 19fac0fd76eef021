"""`python -m services.demo`: simulates a month of a province, end to end, on its own servers.

Every step has a fixed request id and can be repeated without effect: rerun an interrupted run, and
it resumes and ends with the same figures.
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

from services.__main__ import all_services, gateway, register_members
from services.cli.connection import EXIT_CHECK_FAILED, EXIT_REFUSED, EXIT_UNREACHABLE
from services.client.channels import RemoteProblem, problem_of
from services.demo import cases, injuries, intake, money
from services.demo.actors import Actors, Calendar
from services.demo.cases import TooFewCasesError
from services.demo.scenario import Scenario, ScenarioError, fictional, from_file
from services.demo.staff import first_members
from services.demo.statement import print_statement
from services.demo.summary import summarise
from services.demo.verification import VerificationFailedError, verify
from services.kernel.problems import Problem
from services.runtime.base import log as logs
from services.runtime.base.clock import SetClock
from services.runtime.base.refusals import StartRefusedError
from services.runtime.base.settings import Settings
from services.runtime.service.stack import Stack, stack

DELIVERY_SECONDS = 300.0
SEED = 20250701

# Errors that end the simulation with one sentence that says what to do.
REFUSALS = (
    Problem,
    ScenarioError,
    StartRefusedError,
    TooFewCasesError,
)

console = Console()


class Stages:
    """One progress bar per stage, and the seconds of each."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self.seconds: dict[str, float] = {}

    @asynccontextmanager
    async def stage(
        self, name: str, total: int | None = None
    ) -> AsyncIterator[Callable[..., None]]:
        """Show a stage while the block runs; it yields a function that adds progress."""
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


async def simulate(scenario: Scenario, settings: Settings, bars: Progress) -> dict[str, Any]:
    """Run the month; its summary."""
    stages = Stages(bars)
    clock = SetClock(Calendar(scenario.month).at(1, 0))
    async with stages.stage("servers") as done:
        context = stack(all_services(), settings, clock=clock, any_port=True)
        running = await context.__aenter__()
        done()
    try:
        calendar = Calendar(scenario.month)
        actors = Actors(running.addresses, running.issuer, clock, scenario.name, calendar)
        try:
            async with gateway(running, any_port=True) as door:
                bars.console.print(f"JSON while it runs: {door.url}/docs", soft_wrap=True)
                result = await _month(scenario, running, actors, stages)
        finally:
            await actors.close()
    finally:
        await context.__aexit__(None, None, None)
    return result | {"seconds": stages.seconds}


async def _month(
    scenario: Scenario, running: Stack, actors: Actors, stages: Stages
) -> dict[str, Any]:
    async def delivered() -> None:
        await running.wait_until_delivered(DELIVERY_SECONDS)

    async with stages.stage("staff") as done:
        await register_members(running, first_members(scenario))
        await delivered()
    async with stages.stage("platforms", len(scenario.companies)) as done:
        await intake.register_platforms(actors, scenario, done)
    async with stages.stage("workers", sum(map(len, scenario.workers.values()))) as done:
        ids = await intake.enrol_workers(actors, scenario, done)
        await delivered()
    async with stages.stage("orders", scenario.rows.num_rows) as done:
        batches = await intake.send_orders(actors, scenario, ids, done)
        await delivered()
    accidents = cases.choose(
        scenario.trips(), scenario.month.first_day.replace(day=injuries.LAST_ACCIDENT_DAY)
    )
    async with stages.stage("claims", 2 * len(accidents)) as done:
        filed = await injuries.file_claims(actors, accidents, ids, done)
        await injuries.determine_claims(actors, filed, done)
        await delivered()
    async with stages.stage(
        "appraisals", sum(bool(accident.impairment) for accident in accidents)
    ) as done:
        await injuries.conclude_appraisals(actors, filed, done)
        await delivered()
    async with stages.stage("benefits", len(accidents) + len(money.PAYMENT_RUNS)) as done:
        await injuries.grant_expenses(actors, filed, done)
        await money.instruct_payments(actors, done)
        await delivered()
    async with stages.stage("premiums", len(scenario.months) + len(scenario.companies)) as done:
        await money.assess_premiums(actors, list(scenario.months), done)
        await money.receive_premiums(actors, list(scenario.months), scenario.late_platform, done)
        await delivered()
    async with stages.stage("disbursement", len(money.PAYMENT_RUNS)) as done:
        await money.disburse(actors, done)
    async with stages.stage("settlement", 4) as done:
        await money.settle(actors, scenario.month, done)
        await delivered()
    async with stages.stage("verification") as done:
        await verify(running, console)
    platforms = [company.name for company in scenario.companies]
    return await summarise(actors, platforms, batches, list(scenario.months), scenario.month)


def main(
    orders: Annotated[
        Path | None, typer.Option(help="File of orders to simulate the month with.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="TOML file that says how to read them.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start from empty servers.")] = False,
    order_count: Annotated[int, typer.Option(help="Number of fictional orders.")] = 200_000,
    worker_count: Annotated[int, typer.Option(help="Number of fictional workers.")] = 10_000,
    out: Annotated[Path, typer.Option(help="Folder for summary.json and the log.")] = Path(
        "build/demo"
    ),
) -> None:
    """Simulate a month of a province: orders, premiums, claims, benefits, settlement."""
    out.mkdir(parents=True, exist_ok=True)
    # A file, because a line among the bars would break them.
    log_file = out / "log.jsonl"
    logs.configure(quiet=True, sink=log_file.open("w", encoding="utf-8", buffering=1))
    try:
        scenario = _scenario(orders, mapping, order_count, worker_count)
        settings = _settings(scenario, is_default=orders is None, fresh=fresh)
        with _bars() as bars:
            figures = asyncio.run(simulate(scenario, settings, bars))
    except REFUSALS as error:
        console.print(str(error), soft_wrap=True)
        sys.exit(EXIT_REFUSED)
    except (grpc.RpcError, RemoteProblem) as error:
        problem = error if isinstance(error, RemoteProblem) else problem_of(error)
        console.print(problem.sentence, soft_wrap=True)
        sys.exit(EXIT_UNREACHABLE if problem.is_unreachable else EXIT_REFUSED)
    except VerificationFailedError as error:
        console.print(str(error), soft_wrap=True)
        sys.exit(EXIT_CHECK_FAILED)
    finally:
        if log_file.stat().st_size:
            console.print(f"The services' warnings are in {log_file}.", soft_wrap=True)
    print_statement(figures)
    target = out / "summary.json"
    target.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    explore = f"To explore the stack: {_dev_command(settings)}"
    console.print(f"The figures are in {target}. {explore}", soft_wrap=True)


def _scenario(
    orders: Path | None, mapping: Path | None, order_count: int, worker_count: int
) -> Scenario:
    if orders is None:
        return fictional(order_count, worker_count, SEED)
    if mapping is None:
        raise ScenarioError("Order records need a mapping: add MAPPING=file.toml.")
    return from_file(orders, mapping)


def _settings(scenario: Scenario, *, is_default: bool, fresh: bool) -> Settings:
    settings = Settings()
    if not is_default:
        settings = settings.model_copy(update={"state_dir": settings.state_dir / scenario.name})
    if fresh:
        if settings.database_url or settings.nats_url:
            raise ScenarioError(
                "FRESH=1 empties only the demo's own servers; "
                "use an empty database and unset FRESH."
            )
        for folder in ("postgres", "nats", "keys"):
            shutil.rmtree(settings.state_dir / folder, ignore_errors=True)
    return settings


def _dev_command(settings: Settings) -> str:
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
