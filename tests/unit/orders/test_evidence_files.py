"""Evidence files and kept heads: what is valid, what is not, and that the page's programs agree."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.client.proofs.evidence import (
    EvidenceBroken,
    UnsignedStatements,
    evidence_file,
    verify_file,
)
from services.client.proofs.heads import LogRewritten, consistency_file, verify_growth
from services.kernel.problems import Problem
from services.orderlog import notes, tree
from services.orderlog.sealed_json import seal
from tests.support.platforms import SWIFT
from tests.unit.orders.test_evidence import DOC, DOCS, KEY, NAME, VERIFIER, proofs, some_hashes

ORDER = f"platforms/{SWIFT}/orders/R-1"
SAID = UnsignedStatements(
    claim="claims/c1",
    accident_time="2025-07-10T01:10:00+00:00",
    report_time="2025-07-10T02:00:00+00:00",
    named=frozenset({(ORDER, 1)}),
)
PROGRAMS = re.findall(r"```python\n(.*?)```", DOC, re.DOTALL)


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """What the page's programs define."""
    names: dict[str, Any] = {"__name__": "verifier"}
    exec(compile("\n".join(PROGRAMS), "verifier", "exec"), names)
    return names


def exported() -> bytes:
    one, *others = proofs()
    one.record.order, one.record.row.revision, one.record.late = ORDER, 1, True
    return evidence_file(VERIFIER, [one, *others], SAID)


def test_an_evidence_file_holds_and_says_what_it_proves() -> None:
    found = verify_file(exported(), VERIFIER)

    assert [one.record["order_no"] for one in found.proven] == ["R-1", "雨-2", "R-3"]
    assert found.proven[1].record["reason"] == "测试"
    assert found.proven[2].record["end_time"] == ""


def test_the_example_of_the_page_is_such_a_file() -> None:
    example = (DOCS / "evidence-example.json").read_bytes()

    assert example == exported()
    assert "(evidence-example.json)" in DOC


def test_what_a_file_only_says_stands_apart() -> None:
    content = exported()
    found, body = verify_file(content, VERIFIER), json.loads(content)

    assert found.unsigned == body["unsigned"]
    assert found.unsigned["claim"] == "claims/c1"
    assert found.unsigned["report_time"] == "2025-07-10T02:00:00+00:00"
    assert [one.unsigned for one in found.proven] == [
        {"late": True, "named": True},
        {"late": False, "named": False},
        {"late": False, "named": False},
    ]
    assert "unsigned" in body["proofs"][0]
    assert "late" not in body["proofs"][0]


def test_any_changed_byte_of_an_evidence_file_is_found() -> None:
    content = exported()
    for at in range(0, len(content), 3):
        changed = bytearray(content)
        changed[at] ^= 1
        with pytest.raises(EvidenceBroken):
            verify_file(bytes(changed), VERIFIER)
    with pytest.raises(EvidenceBroken):
        verify_file(content[:-1], VERIFIER)


def with_leaf(body: dict[str, Any], at: int, value: bytes) -> None:
    leaf = bytearray(base64.b64decode(body["proofs"][0]["leaf"]))
    leaf[at : at + len(value)] = value
    body["proofs"][0]["leaf"] = base64.b64encode(leaf).decode()


def with_note(body: dict[str, Any], change: Callable[[str], str]) -> None:
    body["proofs"][0]["checkpoint"] = change(body["proofs"][0]["checkpoint"])


WITHDRAWN = "This record was withdrawn.\n"
# What a forger changes who recomputes the digest, and the sentence about it.
FORGERIES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no proofs": (lambda body: body.update(proofs=[]), "proves nothing"),
    "proofs by name": (lambda body: body.update(proofs={"a": 1}), "proves nothing"),
    "a further key": (lambda body: body.update(verdict="paid"), "has 'verdict'"),
    "a key less": (lambda body: body.pop("unsigned"), "has no 'unsigned'"),
    "a further key of a proof": (
        lambda body: body["proofs"][0].update(late=False),
        "has 'late'",
    ),
    "a proof without record": (lambda body: body["proofs"][0].pop("record"), "has no 'record'"),
    "a further word unsigned": (
        lambda body: body["unsigned"].update(amount_fen="9"),
        "'amount_fen' it cannot have",
    ),
    "late as a text": (
        lambda body: body["proofs"][0]["unsigned"].update(late="no"),
        "'late' it cannot have",
    ),
    "a record": (
        lambda body: body["proofs"][0]["record"].update(worker=8),
        "does not say what its leaf says",
    ),
    "a number that is true": (
        lambda body: body["proofs"][0]["record"].update(revision=True),
        "does not say what its leaf says",
    ),
    "a moment beyond all clocks": (
        lambda body: with_leaf(body, 33, b"\x7f" + b"\xff" * 7),
        "accept_time of the leaf is not a moment",
    ),
    "a place that is true": (
        lambda body: body["proofs"][1].update(leaf_index=True),
        "not whole numbers",
    ),
    "a huge count": (lambda body: body["proofs"][0].update(leaf_count=10**30), "does not lie"),
    "a huge place": (lambda body: body["proofs"][0].update(log_index=10**30), "does not lie"),
    "a time written otherwise": (
        lambda body: body["proofs"][0].update(create_time="2025-07-10T09:00:00+0800"),
        "not written as it is",
    ),
    "a time without zone": (
        lambda body: body["proofs"][0].update(create_time="2025-07-10T01:00:00"),
        "not written as it is",
    ),
    "a time of another zone": (
        lambda body: body["proofs"][0].update(create_time="2025-07-10T09:00:00+08:00"),
        "not written as it is",
    ),
    "a path that is a text": (lambda body: body["proofs"][0].update(batch_path="x"), "not a list"),
    "a path that is none": (lambda body: body["proofs"][2].update(log_path={}), "not a list"),
    "a path of numbers": (lambda body: body["proofs"][0].update(log_path=[1]), "damaged"),
    "a word before the signature": (
        lambda body: with_note(body, lambda note: note.replace("\n\n", f"\n\n{WITHDRAWN}")),
        "no signature",
    ),
    "a word after the signature": (
        lambda body: with_note(body, lambda note: note + WITHDRAWN),
        "damaged",
    ),
    "a second signature": (
        lambda body: with_note(body, lambda note: note + "— somebody AAAA\n"),
        "damaged",
    ),
    "a note without its end": (
        lambda body: with_note(body, lambda note: note.removesuffix("\n")),
        "more than is signed",
    ),
    # Of the last letter before the padding, bits that mean nothing.
    "a signature in other letters": (
        lambda body: with_note(body, lambda note: note[:-3] + chr(ord(note[-3]) + 1) + note[-2:]),
        "more than is signed",
    ),
    "a key with another id": (
        lambda body: body.update(verifier_key=VERIFIER.replace("+085e804d+", "+085e804e+")),
        "not that of the key",
    ),
    "a proof that is none": (lambda body: body["proofs"].append(3), "names and values"),
}


@pytest.mark.parametrize(("forge", "words"), FORGERIES.values(), ids=FORGERIES.keys())
def test_a_file_made_anew_is_refused_in_words(
    forge: Callable[[dict[str, Any]], object], words: str
) -> None:
    body = json.loads(exported())
    body.pop("digest")
    forge(body)

    with pytest.raises(EvidenceBroken, match=re.escape(words)):
        verify_file(seal(body))


@pytest.mark.parametrize("content", [b"", b"[" * 200_000, b"{}", b"[]", b"\xff", b"9" * 9000])
def test_what_is_no_evidence_file_is_refused_in_words(content: bytes) -> None:
    with pytest.raises(EvidenceBroken, match="not an evidence file"):
        verify_file(content)


def test_a_file_written_anew_by_a_forger_fails_at_the_signature() -> None:
    body = json.loads(exported())
    forger = Ed25519PrivateKey.generate()
    forged = proofs()[:1]
    head = notes.open_note(body["proofs"][0]["checkpoint"], VERIFIER)
    forged[0].checkpoint.note = notes.sign(head, NAME, forger)
    own = notes.verifier_key(NAME, forger.public_key())

    with pytest.raises(EvidenceBroken, match="another key"):
        verify_file(evidence_file(own, forged), VERIFIER)
    with pytest.raises(EvidenceBroken, match="no signature"):
        verify_file(evidence_file(VERIFIER, forged), VERIFIER)


def test_the_verifier_of_the_page_verifies(
    page: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line for line in PROGRAMS[0].splitlines() if line.strip()]
    assert len(lines) <= 50
    file = tmp_path / "c1.json"
    file.write_bytes(exported())

    page["main"](str(file), VERIFIER)

    shown = capsys.readouterr().out.splitlines()
    assert [json.loads(line.removeprefix("proven: ")) for line in shown] == [
        {**one.record, "create_time": one.create_time} for one in verify_file(exported()).proven
    ]
    body = json.loads(exported())["proofs"][0]
    with pytest.raises(ValueError, match="does not lead to the root"):
        page["check"]({**body, "leaf_index": 1}, VERIFIER)
    other = Ed25519PrivateKey.generate()
    with pytest.raises(ValueError, match="another key signed"):
        page["check"](body, notes.verifier_key(NAME, other.public_key()))
    with pytest.raises(InvalidSignature):
        page["check"](
            {**body, "checkpoint": body["checkpoint"].replace("\n5\n", "\n6\n")}, VERIFIER
        )


def test_the_verifier_of_the_page_finds_changed_bytes(page: dict[str, Any], tmp_path: Path) -> None:
    content, file, seed = exported(), tmp_path / "c1.json", random.Random(7)
    for at in range(0, len(content), 5):
        changed = bytearray(content)
        changed[at] ^= 1 << seed.randrange(8)
        file.write_bytes(changed)
        with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
            page["main"](str(file), VERIFIER)


@pytest.mark.parametrize("forgery", ["no proofs", "a record", "a moment beyond all clocks"])
def test_the_verifier_of_the_page_refuses_what_was_made_anew(
    page: dict[str, Any], tmp_path: Path, forgery: str
) -> None:
    body = json.loads(exported())
    body.pop("digest")
    FORGERIES[forgery][0](body)
    file = tmp_path / "c1.json"
    file.write_bytes(seal(body))

    with pytest.raises((ValueError, OverflowError)):
        page["main"](str(file), VERIFIER)


def note(size: int, hashes: list[bytes], platform: str = SWIFT) -> str:
    head = notes.Head(notes.origin("440000", platform), size, tree.root(hashes[:size]))
    return notes.sign(head, NAME, KEY)


def between(first: int, second: int, hashes: list[bytes]) -> list[bytes]:
    """The consistency proof, from leaves alone."""

    def node(place: tree.Position) -> bytes:
        level, position = place
        return tree.root(hashes[position << level : (position + 1) << level])

    return tree.consistency_path(first, second, node)


def test_the_page_and_the_client_agree_that_a_log_only_grew(page: dict[str, Any]) -> None:
    assert len(PROGRAMS[1].splitlines()) <= 20
    hashes = some_hashes(17)
    for second in range(1, 18):
        for first in range(1, second + 1):
            path = between(first, second, hashes)
            content = consistency_file([VERIFIER], note(first, hashes), note(second, hashes), path)
            body = json.loads(content)
            grown = verify_growth(content, [VERIFIER], note(first, hashes))
            assert (grown.first.size, grown.second.size) == (first, second)
            page["grew"](body["first"], body["second"], body["path"], VERIFIER)
            with pytest.raises((ValueError, IndexError)):
                page["grew"](
                    note(first, hashes[1:] + hashes[:1]), body["second"], body["path"], VERIFIER
                )


def test_a_log_shorter_than_the_head_that_was_kept_says_so() -> None:
    hashes = some_hashes(5)
    content = consistency_file([VERIFIER], note(5, hashes), note(3, hashes), [])

    with pytest.raises(LogRewritten, match="it had 5 batches, and has 3 today"):
        verify_growth(content, [VERIFIER], note(5, hashes))


def test_a_log_written_anew_says_so(page: dict[str, Any]) -> None:
    hashes, others = some_hashes(7), [*some_hashes(2), *some_hashes(9)[4:]]
    for second, words in (
        (5, "its head at 5 is different"),
        (7, "does not contain the one at 5"),
    ):
        path = between(5, second, others)
        content = consistency_file([VERIFIER], note(5, hashes), note(second, others), path)

        with pytest.raises(LogRewritten, match=words):
            verify_growth(content, [VERIFIER], note(5, hashes))
        body = json.loads(content)
        with pytest.raises(ValueError, match="rewritten"):
            page["grew"](body["first"], body["second"], body["path"], VERIFIER)


def test_a_consistency_file_is_only_for_the_head_that_was_kept() -> None:
    hashes = some_hashes(7)
    content = consistency_file([VERIFIER], note(4, hashes), note(7, hashes), between(4, 7, hashes))
    other = Ed25519PrivateKey.generate()
    forged = notes.sign(notes.open_note(note(4, hashes), VERIFIER), NAME, other)
    strange = consistency_file([VERIFIER], note(4, hashes), note(7, hashes, "9" * 18), [])

    with pytest.raises(EvidenceBroken, match="not with the kept one"):
        verify_growth(content, [VERIFIER], note(5, hashes))
    with pytest.raises(EvidenceBroken, match="cannot be opened"):
        verify_growth(content, [VERIFIER], forged)
    with pytest.raises(EvidenceBroken, match="of two logs"):
        verify_growth(strange, [VERIFIER], note(4, hashes))
    for at in range(0, len(content), 7):
        changed = bytearray(content)
        changed[at] ^= 1
        with pytest.raises(Problem):
            verify_growth(bytes(changed), [VERIFIER], note(4, hashes))


def test_a_head_of_an_earlier_key_is_opened_by_it() -> None:
    hashes, later = some_hashes(4), Ed25519PrivateKey.generate()
    following = notes.verifier_key(NAME, later.public_key())
    head = notes.open_note(note(4, hashes), VERIFIER)
    content = consistency_file(
        [following, VERIFIER],
        note(2, hashes),
        notes.sign(head, NAME, later),
        between(2, 4, hashes),
    )

    assert verify_growth(content, [following, VERIFIER], note(2, hashes)).second.size == 4
    with pytest.raises(EvidenceBroken):
        verify_growth(content, [VERIFIER], note(2, hashes))
