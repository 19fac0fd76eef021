"""Survivors in messages and in JSON columns: two services store them, and one tells the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from enum import Enum
from hashlib import sha256
from typing import Any

from oip.claims.v1 import claims_pb2

from services.kernel import names
from services.kernel.problems import GivenTwice, Malformed
from services.kernel.scheme import NearerKin, Relation, Survivor
from services.runtime.rpc.wire import date_from_wire, date_to_wire, enum_number


def survivors_from_wire(
    messages: Iterable[claims_pb2.Survivor],
) -> tuple[Survivor, ...]:
    """The survivors of a request; raises Malformed."""
    survivors = tuple(_checked(message) for message in messages)
    if len({survivor.survivor_id for survivor in survivors}) != len(survivors):
        raise GivenTwice.of("survivors.survivor_id")
    return survivors


def survivor_from_wire(message: claims_pb2.Survivor) -> Survivor:
    """A survivor as an event carries it."""
    return Survivor(
        survivor_id=message.survivor_id,
        relation=Relation(message.relation),
        birth_date=date_from_wire(message.birth_date, "survivors.birth_date")
        if message.HasField("birth_date")
        else None,
        male=message.male,
        totally_disabled=message.totally_disabled,
        alone=message.alone,
        supported=message.supported if message.HasField("supported") else None,
        support_document=message.support_document_hash,
        nearer_kin=NearerKin(message.nearer_kin) if message.nearer_kin else None,
    )


def survivor_to_wire(survivor: Survivor) -> claims_pb2.Survivor:
    """A survivor as messages carry it."""
    message = claims_pb2.Survivor(
        survivor_id=survivor.survivor_id,
        relation=enum_number(survivor.relation.value),
        totally_disabled=survivor.totally_disabled,
        alone=survivor.alone,
        male=survivor.male,
        support_document_hash=survivor.support_document,
        nearer_kin=enum_number(survivor.nearer_kin.value if survivor.nearer_kin else 0),
    )
    if survivor.birth_date is not None:
        message.birth_date.CopyFrom(date_to_wire(survivor.birth_date))
    if survivor.supported is not None:
        message.supported = survivor.supported
    return message


def survivor_to_json(survivor: Survivor) -> dict[str, Any]:
    """A survivor as a JSON column holds it."""
    return {
        "survivor_id": survivor.survivor_id,
        "relation": survivor.relation.value,
        "birth_date": survivor.birth_date.isoformat() if survivor.birth_date else None,
        "male": survivor.male,
        "totally_disabled": survivor.totally_disabled,
        "alone": survivor.alone,
        "supported": survivor.supported,
        "support_document": survivor.support_document.hex(),
        "nearer_kin": survivor.nearer_kin.value if survivor.nearer_kin else None,
    }


def survivor_from_json(row: Mapping[str, Any]) -> Survivor:
    """The survivor of a JSON column."""
    birth, nearer_kin = row["birth_date"], row["nearer_kin"]
    return Survivor(
        survivor_id=row["survivor_id"],
        relation=Relation(row["relation"]),
        birth_date=date.fromisoformat(birth) if birth else None,
        male=row["male"],
        totally_disabled=row["totally_disabled"],
        alone=row["alone"],
        supported=row["supported"],
        support_document=bytes.fromhex(row["support_document"]),
        nearer_kin=NearerKin(nearer_kin) if nearer_kin else None,
    )


def _checked(message: claims_pb2.Survivor) -> Survivor:
    names.parse(f"survivors/{message.survivor_id}", "survivors", field="survivors.survivor_id")
    date_from_wire(message.birth_date, "survivors.birth_date")
    _require_known(Relation, message.relation, "survivors.relation")
    if len(message.support_document_hash) not in {0, sha256().digest_size}:
        raise Malformed.of(
            "survivors.support_document_hash",
            "NOT_A_HASH",
            "give the 32 bytes of the SHA-256 of the document",
            "请提供文件的 SHA-256 (32 字节)",
        )
    return survivor_from_wire(message)


def _require_known(kind: type[Enum], number: int, field: str) -> None:
    if number not in {member.value for member in kind}:
        raise Malformed.choice(field, kind)
