"""The mapping: a TOML file that says how a platform's files are read as orders."""

from __future__ import annotations

import codecs
import tomllib
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from services.kernel.problems import Kind, Problem


class MappingWrong(Problem):
    """The mapping file cannot be used."""

    kind, reason = Kind.MALFORMED, "MAPPING_WRONG"
    message = "The mapping {file} cannot be used: {what}."
    message_zh = "映射文件 {file} 无法使用: {what}。"


def _zone(name: str) -> str:
    try:
        pc.assume_timezone(pa.array([0], pa.timestamp("us")), name or "UTC")
    except pa.ArrowException as error:
        what = f"{name!r} is not a time zone; write one as 'Asia/Shanghai' or '+08:00'"
        raise ValueError(what) from error
    return name


def _encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError as error:
        what = f"{name!r} is not an encoding; write one as 'utf-8' or 'gb18030'"
        raise ValueError(what) from error


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Centre(_Strict):
    """The centre of a pooling area, WGS84 degrees."""

    pooling_area: Annotated[str, Field(pattern=r"^[1-9]\d{5}$")]
    lat: Annotated[float, Field(ge=-90, le=90)]
    lng: Annotated[float, Field(ge=-180, le=180)]


class FileMapping(_Strict):
    """How a file's rows are read as orders of a province."""

    industry: Literal["RIDE_HAILING", "INSTANT_DELIVERY", "SAME_CITY_FREIGHT"]
    province: Annotated[str, Field(pattern=r"^[1-9]\d{5}$")]
    # The zone of moments written without one; if it is empty, such moments are refused.
    zone: Annotated[str, AfterValidator(_zone)] = ""
    # Of CSV and NDJSON.
    encoding: Annotated[str, AfterValidator(_encoding)] = "utf-8"
    # Days by which all dates are shifted.
    shift_days: int = 0
    # A place farther than this from every centre is unknown.
    within_km: Annotated[float, Field(gt=0)]
    # platform_hint = unified social credit code
    platforms: dict[str, Annotated[str, Field(pattern="^[0-9A-Z]{18}$")]]
    centres: Annotated[list[Centre], Field(min_length=1)]

    @property
    def digest(self) -> str:
        """SHA-256 of the content: another digest reads a file in another way."""
        return sha256(self.model_dump_json().encode()).hexdigest()


def load_mapping(path: Path) -> FileMapping:
    """Read a mapping file. Raises MappingWrong with one sentence."""
    try:
        return FileMapping.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        what = f"it cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'})"
        raise MappingWrong(file=path.name, what=what) from error
    except tomllib.TOMLDecodeError as error:
        raise MappingWrong(file=path.name, what=f"it is not TOML ({error})") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        what = (
            f"the key {key} is unknown; remove it"
            if first["type"] == "extra_forbidden"
            else f"{key}: {_phrase(first['msg'])}"
        )
        raise MappingWrong(file=path.name, what=what) from None


def _phrase(sentence: str) -> str:
    """Pydantic's sentence as it reads after a colon; a sentence of ours is already such."""
    ours = sentence.removeprefix("Value error, ")
    return ours if ours != sentence else sentence[:1].lower() + sentence[1:]
