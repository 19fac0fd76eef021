"""Consoles and progress bars."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from services.cli.view import Format, view


class OutputConsole(Console):
    """A console that leaves the end of its reader to the program (error_report.py)."""

    def on_broken_pipe(self) -> None:
        """Called while BrokenPipeError is handled; the library would end with the code 1."""
        raise  # noqa: PLE0704


def new_console() -> Console:
    """A console on stdout; made by each command, so that it follows the streams of its caller."""
    return OutputConsole()


def error_console() -> Console:
    """A console on stderr, for progress beside a result on stdout."""
    return Console(stderr=True)


def console_for_sentences() -> Console:
    """Where sentences go beside rows: on stdout with tables, else on stderr."""
    return new_console() if view().format is Format.TABLE else error_console()


def print_sentence(console: Console, sentence: str) -> None:
    """A sentence as it is: not folded, nothing in it coloured."""
    console.print(sentence, markup=False, highlight=False, soft_wrap=True)


class RateColumn(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        """The rate of a task; nothing before it is known."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s")


def progress_bars(console: Console) -> Progress:
    """Bars with a description, a count, the rate and the time that is left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
    )
