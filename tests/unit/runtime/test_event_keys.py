"""Events are signed by their producers; key files that cannot be used say so in a sentence."""

from __future__ import annotations

import base64
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from nats.aio.msg import Msg

from services.runtime.events.envelope import Envelope
from services.runtime.events.event_keys import (
    EventKeyError,
    NotAuthenticError,
    load_or_make_signer,
    load_signer,
    read_public_keys,
    trust_of,
)
from services.runtime.events.jetstream import HEADER_FORMS, read_envelope
from tests.support import toy
from tests.support.toy import TRUST

EVENT = toy.rang(7)
FORGED = {
    "another payload": replace(EVENT, payload=b"altered"),
    "another subject": replace(EVENT, subject="oip.toy.v1.BellTuned"),
    "another number": replace(EVENT, pub_seq=8),
    "another epoch": replace(EVENT, epoch="f"),
    "the signature of another event": replace(EVENT, signature=toy.rang(8).signature),
    "another service's signature": replace(
        EVENT, signature=toy.signer_of("drum").sign(EVENT).signature
    ),
    "half a signature": replace(EVENT, signature=EVENT.signature[:32]),
    "no signature": replace(EVENT, signature=b""),
}


def test_the_producer_s_own_event_is_authentic() -> None:
    TRUST.require_authentic(EVENT)


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_an_event_that_its_producer_did_not_sign_is_refused(forged: Envelope) -> None:
    with pytest.raises(NotAuthenticError, match="BAD_SIGNATURE"):
        TRUST.require_authentic(forged)


@pytest.mark.parametrize(
    "signed",
    [
        toy.signer_of("drum").sign(EVENT),
        toy.signer_of("stranger").sign(EVENT),
        replace(EVENT, producer="drum"),
        replace(EVENT, producer="stranger"),
        replace(EVENT, key_id=""),
    ],
    ids=["drum's key", "unknown key", "drum named", "stranger named", "no key"],
)
def test_a_key_that_is_not_the_producer_s_is_unknown(signed: Envelope) -> None:
    with pytest.raises(NotAuthenticError, match="UNKNOWN_KEY"):
        TRUST.require_authentic(signed)


def message(headers: dict[str, object], subject: str = "oip.toy.v1.BellRang") -> Msg:
    """A message with the headers of a true event, except those given; None leaves one out."""
    known = {
        "Producer": "toy",
        "Epoch": "e",
        "Seq": "7",
        "Key": EVENT.key_id,
        "Signature": EVENT.signature.hex(),
    } | headers
    held = {f"Oip-{name}": value for name, value in known.items() if value is not None}
    return Msg(_client=None, subject=subject, data=EVENT.payload, headers=held)  # type: ignore[arg-type]


def test_a_message_with_all_headers_is_the_event() -> None:
    assert read_envelope(message({})) == EVENT


ABSURD: tuple[object, ...] = (
    None, "", " ", "-1", "+7", "7.0", "7\n", "7\x00", "\x00", "٧", "7" * 5000, "x" * 10_240,
    "<script>", b"7", 7, "\ufffd",
)  # fmt: skip


@pytest.mark.parametrize("name", HEADER_FORMS)
@pytest.mark.parametrize("value", ABSURD, ids=range(len(ABSURD)))
def test_an_absurd_header_is_named(name: str, value: object) -> None:
    header = name.removeprefix("Oip-")
    with pytest.raises(NotAuthenticError, match=f"BAD_HEADER_{header.upper()}"):
        read_envelope(message({header: value}))


@pytest.mark.parametrize("value", ["0", "07", "1" + "0" * 18])
def test_a_number_starts_at_one_and_fits_the_column(value: str) -> None:
    with pytest.raises(NotAuthenticError, match="BAD_HEADER_SEQ"):
        read_envelope(message({"Seq": value}))


@pytest.mark.parametrize(
    "subject", ["oip.drum.v1.BellRang", "oip.toy.v2.BellRang", "oip.toyshop.v1.BellRang", "toy"]
)
def test_an_event_on_the_subject_of_another_producer_is_foreign(subject: str) -> None:
    with pytest.raises(NotAuthenticError, match="FOREIGN_SUBJECT"):
        read_envelope(message({}, subject))


def test_a_message_without_headers_is_no_event() -> None:
    bare = Msg(_client=None, subject="oip.toy.v1.BellRang", headers=None)  # type: ignore[arg-type]
    with pytest.raises(NotAuthenticError, match="BAD_HEADER_PRODUCER"):
        read_envelope(bare)


def test_a_key_is_made_once_readable_by_its_owner_and_published(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "toy.pem"
    signer = load_or_make_signer(path, "toy", tmp_path / "trust")
    again = load_or_make_signer(path, "toy", tmp_path / "trust")

    assert again.key_id == signer.key_id
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_public_keys(tmp_path / "trust") == {"toy": [signer.public_key]}
    trust_of(tmp_path / "trust").require_authentic(signer.sign(EVENT))


def test_a_second_key_of_the_file_is_accepted_without_a_new_start(tmp_path: Path) -> None:
    old = load_or_make_signer(tmp_path / "old.pem", "toy", tmp_path)
    trust = trust_of(tmp_path)
    trust.require_authentic(old.sign(EVENT))
    new = load_or_make_signer(tmp_path / "new.pem", "unused", tmp_path / "elsewhere")
    with pytest.raises(NotAuthenticError, match="UNKNOWN_KEY"):
        trust.require_authentic(new.sign(EVENT))

    with (tmp_path / "toy.pub").open("ab") as file:
        file.write(base64.b64encode(new.public_key) + b"\n")

    trust.require_authentic(new.sign(EVENT))
    trust.require_authentic(old.sign(EVENT))


def test_a_key_of_another_producer_s_file_does_not_count(tmp_path: Path) -> None:
    drum = load_or_make_signer(tmp_path / "drum.pem", "drum", tmp_path)

    with pytest.raises(NotAuthenticError, match="UNKNOWN_KEY"):
        trust_of(tmp_path).require_authentic(drum.sign(EVENT))


@pytest.mark.parametrize("content", [None, b"", b"no key", b"\xff\x00"])
def test_a_private_key_that_cannot_be_read_names_the_setting(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "toy.pem"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(EventKeyError, match=f"{path}; set OIP_EVENT_KEY_FILE to a PEM"):
        load_signer(path)


def pem_of(
    key: ec.EllipticCurvePrivateKey, encryption: serialization.KeySerializationEncryption
) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


def test_a_private_key_of_another_kind_or_behind_a_password_is_refused(tmp_path: Path) -> None:
    path, key = tmp_path / "toy.pem", ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(pem_of(key, serialization.NoEncryption()))
    with pytest.raises(EventKeyError, match="is not an Ed25519 key"):
        load_signer(path)

    path.write_bytes(pem_of(key, serialization.BestAvailableEncryption(b"secret")))
    with pytest.raises(EventKeyError, match="cannot be read"):
        load_signer(path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"no base64!\n", "holds no public keys, a line of base64 each"),
        ("键".encode(), "holds no public keys, a line of base64 each"),
        (base64.b64encode(bytes(31)), "holds a key that is not 32 bytes long"),
        (base64.b64encode(bytes(32)) + b"\n" + base64.b64encode(bytes(64)), "is not 32 bytes"),
    ],
)
def test_public_keys_that_cannot_be_used_are_named(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    (tmp_path / "toy.pub").write_bytes(content)

    with pytest.raises(EventKeyError, match=f"toy.pub {sentence}|toy.pub .*{sentence}"):
        read_public_keys(tmp_path)


def test_a_folder_without_keys_trusts_nobody(tmp_path: Path) -> None:
    (tmp_path / "toy.pub").write_bytes(b"\n\n")

    assert read_public_keys(tmp_path / "missing") == {}
    with pytest.raises(NotAuthenticError, match="UNKNOWN_KEY"):
        trust_of(tmp_path).require_authentic(EVENT)
