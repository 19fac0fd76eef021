"""`oip orders`: a platform sends its orders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.connection import (
    EXIT_ROWS_REFUSED,
    connection_of,
    run,
)
from services.cli.output import console_for_sentences
from services.cli.push import Push
from services.client.files.mapping import load_mapping

app = typer.Typer(no_args_is_help=True, help="Order records (订单记录).")


@app.command("push")
def push(
    context: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(
            help="CSV, TSV, XLSX, Parquet, Arrow, NDJSON or JSON; text may be packed (.gz, .zst)."
        ),
    ],
    mapping: Annotated[Path, typer.Option(help="TOML file that says how rows are read as orders.")],
) -> None:
    """Send files of orders; rerun an interrupted push to resume it.

    All files are read and counted before the first is sent. Exit codes: 0 every row is stored, 4
    all files were sent and some rows were refused (FILE.rejected.csv lists each with its reason),
    2 refused or used wrongly, 3 a service could not be reached.
    """
    upload = Push(connection_of(context), load_mapping(mapping), console_for_sentences())
    for file in files:
        upload.add(file)
    if not run(upload.send_all):
        raise typer.Exit(EXIT_ROWS_REFUSED)
