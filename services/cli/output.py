"""Output of commands: a console as wide as the terminal, and progress bars."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


def new_console() -> Console:
    """A console on stdout; made by each command, so that it follows the streams of its caller."""
    return Console()


def new_wide_console() -> Console:
    """The same, but lines into a file or a pipe are not wrapped."""
    console = Console()
    console.soft_wrap = not console.is_terminal
    return console


def progress_bars(console: Console) -> Progress:
    """Bars with a description, a count and the time that has passed."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
