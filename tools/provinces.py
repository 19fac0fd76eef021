"""docs/provinces.md: for each province which parameters are its own, stand in, assumed, missing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from services.kernel.identifiers import province_of
from services.kernel.law import Tag
from services.kernel.parameter_check import parameter_files
from services.kernel.parameters import NATIONAL, Parameter, ParameterNotFound, load

SOURCES = Path(__file__).resolve().parent.parent / "services"
START = "scheme_start"
# GB/T 2260; it has no code for the Corps.
PROVINCES = {
    "110000": "Beijing 北京",
    "120000": "Tianjin 天津",
    "130000": "Hebei 河北",
    "140000": "Shanxi 山西",
    "150000": "Inner Mongolia 内蒙古",
    "210000": "Liaoning 辽宁",
    "220000": "Jilin 吉林",
    "230000": "Heilongjiang 黑龙江",
    "310000": "Shanghai 上海",
    "320000": "Jiangsu 江苏",
    "330000": "Zhejiang 浙江",
    "340000": "Anhui 安徽",
    "350000": "Fujian 福建",
    "360000": "Jiangxi 江西",
    "370000": "Shandong 山东",
    "410000": "Henan 河南",
    "420000": "Hubei 湖北",
    "430000": "Hunan 湖南",
    "440000": "Guangdong 广东",
    "450000": "Guangxi 广西",
    "460000": "Hainan 海南",
    "500000": "Chongqing 重庆",
    "510000": "Sichuan 四川",
    "520000": "Guizhou 贵州",
    "530000": "Yunnan 云南",
    "540000": "Tibet 西藏",
    "610000": "Shaanxi 陕西",
    "620000": "Gansu 甘肃",
    "630000": "Qinghai 青海",
    "640000": "Ningxia 宁夏",
    "650000": "Xinjiang 新疆",
    "660000": "Xinjiang Production and Construction Corps 新疆生产建设兵团",
}


@dataclass
class Standing:
    """The parameters of a province by where their values come from, each by its name."""

    start: str = ""
    own: list[str] = field(default_factory=list)
    # Those of single areas, with the areas.
    in_areas: list[str] = field(default_factory=list)
    national: list[str] = field(default_factory=list)
    stand_in: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)
    # Of the assumed ones, those that the province itself has.
    own_assumed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def provinces_page() -> str:
    """The page, on the first day on which the scheme has begun everywhere."""
    parameters = {
        f"{path.parent.parent.name}/{path.stem}": load(path) for path in parameter_files(SOURCES)
    }
    starts = parameters[f"kernel/{START}"]
    day = max(date.fromisoformat(value.value) for value in starts.values)
    standings = {code: _standing(parameters, code, day) for code in PROVINCES}
    country = _standing(parameters, NATIONAL, day)
    stand_in = sorted({name for each in standings.values() for name in each.stand_in})
    lines = [
        "# The provinces",
        "",
        "Written by `make docs` from the parameters; do not edit it by hand.",
        "",
        f"As of {day}, the first day on which the scheme has begun in every province. **Own** is",
        "a value of the province or of its areas with a source; **national** one of the country",
        "that is itself the rule; **stands in** a national figure until the province's own is",
        "entered, so that awards are provisional; **assumed** a value without a source, which the",
        "province has to confirm (`oip law unconfirmed`); **missing** means that what needs it is",
        "refused by name. [law.md](law.md) has the values, [add-a-province.md](add-a-province.md)",
        "says how to enter them.",
        "",
        "| province | code | scheme from | own | national | stands in | assumed | missing |",
        "|---|---|---|---:|---:|---:|---:|---:|",
        *(_row(code, standings[code]) for code in PROVINCES),
        "",
        "## What holds where a province has nothing of its own",
        "",
        f"- Assumed: {_names(country.assumed)}.",
        f"- Stands in: {_names(stand_in)}.",
        f"- Nothing, so that it is missing: {_names(country.missing)}.",
        "- All others are national.",
        "",
        "The paragraphs below name what a province has of its own, and what it lacks.",
    ]
    for code, name in PROVINCES.items():
        lines += ["", f"## {name} ({code})", "", *_paragraph(standings[code])]
    return "\n".join(lines) + "\n"


def _standing(parameters: dict[str, Parameter], province: str, day: date) -> Standing:
    standing = Standing()
    for name, parameter in parameters.items():
        areas = _areas_with_own(parameter, province, day)
        if areas:
            standing.in_areas.append(f"{name} ({', '.join(areas)})")
        try:
            value = parameter.on(day, province)
        except ParameterNotFound:
            standing.missing.append(name)
            continue
        if parameter.name == START:
            standing.start = f"{value.value} [{value.tag.value}]"
        if value.tag is Tag.ASSUMED:
            standing.assumed.append(name)
            if value.jurisdiction != NATIONAL:
                standing.own_assumed.append(name)
        elif value.jurisdiction != NATIONAL:
            standing.own.append(name)
        elif value.stands_in:
            standing.stand_in.append(name)
        else:
            standing.national.append(name)
    return standing


def _areas_with_own(parameter: Parameter, province: str, day: date) -> list[str]:
    """The areas of a province that have a value of their own, with its tag."""
    places = {value.jurisdiction for value in parameter.values} - {NATIONAL, province}
    inside = sorted(place for place in places if province_of(place.rpartition("@")[2]) == province)
    tags = []
    for place in inside:
        with suppress(ParameterNotFound):
            value = parameter.on(day, place)
            if value.jurisdiction == place:
                tags.append(f"{place} [{value.tag.value}]")
    return tags


def _row(code: str, standing: Standing) -> str:
    counts = (
        len(standing.own),
        len(standing.national),
        len(standing.stand_in),
        len(standing.assumed),
        len(standing.missing),
    )
    numbers = " | ".join(map(str, counts))
    return f"| {PROVINCES[code]} | {code} | {standing.start} | {numbers} |"


def _paragraph(standing: Standing) -> list[str]:
    """What a province has of its own and lacks."""
    parts = [
        ("Own", standing.own),
        ("Own in single areas", standing.in_areas),
        ("Own and assumed", standing.own_assumed),
        ("Missing", standing.missing),
    ]
    return [f"- {title}: {_names(names)}." for title, names in parts if names]


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" if " " not in name else name for name in names) or "none"
