"""`oip law`: check parameter files, show the values in force, explain decisions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from rich.console import Console
from rich.table import Table

import services
from services.cli.connection import EXIT_CHECK_FAILED, Refused, day_of
from services.cli.explain import explain
from services.kernel.parameter_check import (
    Places,
    check_tree,
    parameter_files,
    unknown_place,
)
from services.kernel.parameters import (
    Parameter,
    ParameterFileFaulty,
    ParameterNotFound,
    Value,
    load,
    places,
)

app = typer.Typer(
    no_args_is_help=True,
    help="Parameters of the law: check them, show them, explain decisions (法规参数).",
)
app.command()(explain)

ROOT = Path(services.__file__).resolve().parent
AREAS = ROOT / "kernel" / "parameters" / "pooling_areas.toml"
DEFAULT_FOLDER = "the parameters of this installation"

Folder: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--dir", metavar="DIR", help="Folder with parameter files.", show_default=DEFAULT_FOLDER
    ),
]
DayOfEvent: TypeAlias = Annotated[
    str, typer.Option(metavar="DAY", help="Day of the event, for example 2025-07-01.")
]


@app.command()
def check(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="Folder with parameter files, at any depth.",
            show_default=DEFAULT_FOLDER,
        ),
    ] = ROOT,
) -> None:
    """Check parameter files; print one sentence per fault, with file, key and day."""
    if not folder.is_dir():
        raise Refused(f"There is no folder {folder}; name one with parameter files.")
    files = parameter_files(folder)
    if not files:
        raise Refused(f"There is no parameter file (*.toml) in {folder}; name another folder.")
    faults = check_tree(folder, Places.of(folder, AREAS))
    for fault in faults:
        typer.echo(str(fault))
    if faults:
        typer.echo(f"{len(faults)} faults in {len(files)} files.", err=True)
        raise typer.Exit(EXIT_CHECK_FAILED)
    typer.echo(f"{len(files)} files, no fault.")


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(
            help="For example disability_grant_months; benefits/… if two services have the name."
        ),
    ],
    on: DayOfEvent,
    where: Annotated[
        str, typer.Option("--in", metavar="PLACE", help="CN, a division code, or CODE@division.")
    ] = "CN",
    known: Annotated[
        str, typer.Option(metavar="DAY", help="As published by this day; default: all.")
    ] = "",
    folder: Folder = ROOT,
) -> None:
    """Show the value in force on a day in a place, with its source and validity."""
    day, known_by = day_of(on), day_of(known) if known else None
    paths = list(_files_of(name, folder))
    if not paths:
        raise Refused(f"There is no parameter {name}; `oip law names` lists them all.")
    _require_known(where, folder)
    console = Console(soft_wrap=True, highlight=False)
    for path in paths:
        parameter = _load(path)
        try:
            value = parameter.on(day, where, known_by)
        except ParameterNotFound as error:
            raise Refused(f"The parameter {error}") from None
        console.print(f"{path.parent.parent.name}/{parameter.name}", style="bold")
        console.print(_table(parameter, value, day, where))


@app.command()
def missing(
    on: DayOfEvent,
    where: Annotated[
        str, typer.Option("--in", metavar="PLACE", help="A division code, for example 130000.")
    ],
    folder: Folder = ROOT,
) -> None:
    """Name the parameters that have no value, and those for which a wider one stands in."""
    day = day_of(on)
    _require_known(where, folder)
    absent = 0
    for path in parameter_files(folder):
        name = f"{path.parent.parent.name}/{path.stem}"
        try:
            value = _load(path).on(day, where)
        except ParameterNotFound:
            absent += 1
            typer.echo(f"{name}: no value in force on {day} in {where}.")
            continue
        if value.stands_in:
            typer.echo(f"{name}: the value of {value.jurisdiction} stands in, provisionally.")
    typer.echo(f"{absent} parameters have no value on {day} in {where}.")


@app.command()
def names(
    folder: Folder = ROOT,
) -> None:
    """List the parameters with their units."""
    table = Table("parameter", "unit", "values", box=None)
    for path in parameter_files(folder):
        parameter = _load(path)
        name = f"{path.parent.parent.name}/{parameter.name}"
        table.add_row(name, parameter.unit, str(len(parameter.values)))
    Console(soft_wrap=True, highlight=False).print(table)


def _table(parameter: Parameter, value: Value, day: date, where: str) -> Table:
    table = Table(show_header=False, box=None)
    for key, text in _lines(value.value):
        table.add_row(key or "value", text)
    table.add_row("unit", parameter.unit)
    table.add_row("in force", f"{value.since} to {_end(parameter, value, day, where)}")
    table.add_row("valid in", value.jurisdiction)
    if value.stands_in:
        table.add_row("stands in", f"provisionally, until the value of {where} is published")
    table.add_row("published", str(value.published))
    table.add_row("tag", value.tag.value)
    table.add_row("source", value.source)
    return table


def _end(parameter: Parameter, value: Value, day: date, where: str) -> str:
    """The day before another value takes over in this place; open if none is known."""
    near = places(where)
    within = near[: near.index(value.jurisdiction) + 1]
    starts = [
        other.since
        for other in parameter.values
        if other.jurisdiction in within and other.since > day
    ]
    ends = sorted([*starts, *([value.until] if value.until else [])])
    return f"before {ends[0]}" if ends else "further notice"


def _lines(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _lines(item, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        yield key, ", ".join(str(item) for item in value)
    else:
        yield key, str(value)


def _files_of(name: str, folder: Path) -> Iterator[Path]:
    service, _, short = name.rpartition("/")
    for path in parameter_files(folder):
        if path.stem == short and service in {"", path.parent.parent.name}:
            yield path


def _load(path: Path) -> Parameter:
    try:
        return load(path)
    except ParameterFileFaulty as error:
        raise Refused(str(error.faults[0])) from None


def _require_known(where: str, folder: Path) -> None:
    """Raise Refused for a place that no parameter can be about."""
    if problem := unknown_place(where, Places.of(folder, AREAS)):
        raise Refused(f"{problem[0].upper()}{problem[1:]}.")
