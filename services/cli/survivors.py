"""The file that names the persons whom a worker supported (供养亲属), as commands read it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from oip.claims.v1 import claims_pb2

from services.cli.fields import choice_in, hash_of
from services.cli.refusals import Refused, unreadable
from services.cli.steps import Reader
from services.runtime.rpc.wire import date_to_wire

KEYS = {
    "id",
    "relation",
    "born",
    "male",
    "disabled",
    "alone",
    "supported",
    "support_document",
    "nearer_kin",
}
HELP = (
    "TOML file with a [[survivors]] table for each person whom the worker supported: id, relation, "
    "born, supported, support_document (a file), and where they apply male, disabled, alone, "
    "nearer_kin (able, dead or unable)."
)


def survivors_in(path: Path) -> Iterator[claims_pb2.Survivor]:
    """The persons in a file. Raises Refused."""
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8")).get("survivors", [])
    except OSError as error:
        raise unreadable(path, error) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Refused(
            "{file} is not TOML in UTF-8; correct it.",
            "{file} 不是 UTF-8 编码的 TOML; 请更正。",
            file=path,
        ) from error
    for row in rows:
        try:
            yield _survivor(row, path.parent)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Refused(
                "{file}: a survivor is not as the help says ({what}).",
                "{file}: 供养亲属的填写与说明不符 ({what})。",
                file=path,
                what=error,
            ) from error


def _survivor(row: Mapping[str, Any], folder: Path) -> claims_pb2.Survivor:
    if unknown := set(row) - KEYS:
        raise ValueError(", ".join(sorted(unknown)))
    survivor = claims_pb2.Survivor(
        survivor_id=row["id"],
        relation=choice_in(claims_pb2.Survivor.Relation.DESCRIPTOR, row["relation"]),
        birth_date=date_to_wire(row["born"]),
        male=row.get("male", False),
        totally_disabled=row.get("disabled", False),
        alone=row.get("alone", False),
    )
    if "nearer_kin" in row:
        kin = claims_pb2.Survivor.NearerKin.DESCRIPTOR
        survivor.nearer_kin = choice_in(kin, row["nearer_kin"])
    if "supported" in row:
        survivor.supported = row["supported"]
    if "support_document" in row:
        survivor.support_document_hash = hash_of(folder / row["support_document"])
    return survivor


KIN = Reader("kin", HELP, survivors_in, is_file=True)
