"""`oip law`: check parameter files, show the values in force, explain decisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from rich.cells import cell_len

import services
from services.cli.connection import EXIT_CHECK_FAILED, Refused, day_of
from services.cli.explain import explain
from services.cli.tables import Row, show_rows
from services.cli.values import Value as Cell
from services.cli.values import count_value, text_value, truth_value
from services.cli.view import Format, say, view
from services.kernel.law import Tag
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
TAG_TITLES = {Tag.LAW: "法条", Tag.SEED: "设计依据", Tag.COMMON: "参照", Tag.ASSUMED: "暂定"}
CELLS = (
    *("parameter", "value", "unit", "since", "until"),
    *("jurisdiction", "stands_in", "published", "tag", "source"),
)
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
        raise Refused(
            "There is no folder {folder}; name one with parameter files.",
            "没有文件夹 {folder}; 请指定含参数文件的文件夹。",
            folder=folder,
        )
    files = parameter_files(folder)
    if not files:
        raise Refused(
            "There is no parameter file (*.toml) in {folder}; name another folder.",
            "{folder} 中没有参数文件 (`*.toml`); 请另外指定文件夹。",
            folder=folder,
        )
    faults = check_tree(folder, Places.of(folder, AREAS))
    for fault in faults:
        typer.echo(str(fault))
    if faults:
        typer.echo(
            say(
                f"{len(faults)} faults in {len(files)} files.",
                f"{len(files)} 个文件中有 {len(faults)} 处错误。",
            ),
            err=True,
        )
        raise typer.Exit(EXIT_CHECK_FAILED)
    typer.echo(say(f"{len(files)} files, no fault.", f"{len(files)} 个文件, 没有错误。"))


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
        raise Refused(
            "There is no parameter {name}; `oip law names` lists them all.",
            "没有参数 {name}; 用 `oip law names` 查看全部参数。",
            name=name,
        )
    _require_known(where, folder)
    rows = []
    for path in paths:
        parameter = _load(path)
        try:
            value = parameter.on(day, where, known_by)
        except ParameterNotFound as error:
            raise Refused(f"The parameter {error.sentence}", error.sentence_zh) from None
        rows.append((f"{path.parent.parent.name}/{parameter.name}", parameter, value))
    if view().format is not Format.TABLE:
        show_rows(
            [_cells(full_name, parameter, value) for full_name, parameter, value in rows], CELLS
        )
        return
    for full_name, parameter, value in rows:
        typer.echo(full_name)
        _echo_pairs(_pairs(parameter, value, day, where))


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
            typer.echo(
                say(
                    f"{name}: no value in force on {day} in {where}.",
                    f"{name}: 于 {day} 在 {where} 没有有效取值。",
                )
            )
            continue
        if value.stands_in:
            typer.echo(
                say(
                    f"{name}: the value of {value.jurisdiction} stands in, provisionally.",
                    f"{name}: 暂以 {value.jurisdiction} 的取值代替。",
                )
            )
    typer.echo(
        say(
            f"{absent} parameters have no value on {day} in {where}.",
            f"{absent} 个参数于 {day} 在 {where} 没有取值。",
        )
    )


@app.command()
def names(
    folder: Folder = ROOT,
) -> None:
    """List the parameters with their units."""
    rows = []
    for path in parameter_files(folder):
        parameter = _load(path)
        rows.append(
            {
                "parameter": text_value(f"{path.parent.parent.name}/{parameter.name}"),
                "unit": text_value(parameter.unit),
                "value_count": count_value(len(parameter.values)),
            }
        )
    show_rows(rows, ("parameter", "unit", "value_count"))


def _cells(name: str, parameter: Parameter, value: Value) -> Row:
    """A value for programs."""
    return {
        "parameter": text_value(name),
        "value": Cell(str(value.value), value.value),
        "unit": text_value(parameter.unit),
        "since": text_value(value.since),
        "until": text_value(value.until or ""),
        "jurisdiction": text_value(value.jurisdiction),
        "stands_in": truth_value(value.stands_in),
        "published": text_value(value.published),
        "tag": text_value(value.tag.value),
        "source": text_value(value.source),
    }


def _echo_pairs(pairs: Mapping[str, str]) -> None:
    longest = max(map(cell_len, pairs))
    for name, text in pairs.items():
        if text:
            typer.echo(f"  {name}{' ' * (longest - cell_len(name))}  {text}")


def _pairs(parameter: Parameter, value: Value, day: date, where: str) -> dict[str, str]:
    """A value for people."""
    return {
        **{key or say("value", "取值"): text for key, text in _lines(value.value)},
        say("unit", "单位"): parameter.unit,
        say("in force", "有效期"): say(f"{value.since} to ", f"{value.since} 起, ")
        + _end(parameter, value, day, where),
        say("valid in", "适用地区"): value.jurisdiction,
        say("stands in", "代用"): say(
            f"provisionally, until the value of {where} is published",
            f"暂用, 待 {where} 公布本地取值",
        )
        if value.stands_in
        else "",
        say("published", "公布日期"): str(value.published),
        say("tag", "依据类别"): say(value.tag.value, TAG_TITLES[value.tag]),
        say("source", "来源"): value.source,
    }


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
    if not ends:
        return say("further notice", "至另行公布")
    return say(f"before {ends[0]}", f"至 {ends[0]} 前")


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
        raise Refused(
            "{file} is no parameter file: {fault}",
            "{file} 不是有效的参数文件; 用 `oip law check` 查看错误。",
            file=path.name,
            fault=error.faults[0],
        ) from None


def _require_known(where: str, folder: Path) -> None:
    """Raise Refused for a place that no parameter can be about."""
    if problem := unknown_place(where, Places.of(folder, AREAS)):
        raise Refused(
            f"{problem[0].upper()}{problem[1:]}.",
            "没有地区 {where}; 请填写 `CN`、已登记的行政区划代码, 或 `代码@区划`。",
            where=where,
        )
