"""Issuers of a deployment: pinned algorithms, keys that rotate, tokens that are revoked."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from services.runtime.base.clock import SetClock
from services.runtime.rpc.access import Unauthenticated
from services.runtime.rpc.issuers import (
    REREAD_SECONDS,
    IssuersFileError,
    RereadFile,
    TrustedIssuer,
    load_issuers,
    parse_keys,
    parse_revoked,
)
from services.runtime.rpc.tokens import Verifier

NOON = datetime(2025, 7, 1, 4, tzinfo=UTC)
PROVINCE, AGENCY = "https://id.province.example", "https://id.agency.example"


class Seconds:
    """A clock of seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def token(key: Any, algorithm: str, issuer: str = PROVINCE, **claims: Any) -> str:
    issued = int(NOON.timestamp())
    content = {
        "iss": issuer,
        "sub": "li",
        "aud": "oip",
        "iat": issued,
        "exp": issued + 600,
        "roles": ["appraiser"],
        **claims,
    }
    return jwt.encode({"alg": algorithm, "kid": key.kid}, content, key, algorithms=[algorithm])


def write_keys(path: Path, *keys: Any) -> None:
    path.write_text(json.dumps(KeySet(list(keys)).as_dict(private=False)), encoding="utf-8")


def issuer_of(keys: KeySet | RereadFile, *algorithms: str, name: str = PROVINCE) -> TrustedIssuer:
    return TrustedIssuer(name, keys, algorithms)


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("Ed25519", OKPKey.generate_key("Ed25519", auto_kid=True)),
        ("ES256", ECKey.generate_key("P-256", auto_kid=True)),
        ("RS256", RSAKey.generate_key(2048, auto_kid=True)),
        ("PS256", RSAKey.generate_key(2048, auto_kid=True)),
    ],
)
def test_each_algorithm_is_accepted_where_it_is_pinned_alone(algorithm: str, key: Any) -> None:
    keys, text = KeySet([key]), token(key, algorithm)
    others = [one for one in ("Ed25519", "ES256", "PS256", "RS256") if one != algorithm]
    clock = SetClock(NOON)

    assert Verifier([issuer_of(keys, algorithm)], clock).verify(text).subject == "li"
    with pytest.raises(Unauthenticated):
        Verifier([issuer_of(keys, *others)], clock).verify(text)


def test_a_key_of_one_issuer_signs_nothing_for_another() -> None:
    ours, theirs = (OKPKey.generate_key("Ed25519", auto_kid=True) for _ in range(2))
    verifier = Verifier(
        [
            issuer_of(KeySet([ours]), "Ed25519"),
            issuer_of(KeySet([theirs]), "Ed25519", name=AGENCY),
        ],
        SetClock(NOON),
    )

    assert verifier.verify(token(theirs, "Ed25519", AGENCY)).issuer == AGENCY
    with pytest.raises(Unauthenticated):
        verifier.verify(token(theirs, "Ed25519", PROVINCE))
    with pytest.raises(Unauthenticated, match="issuer is not trusted"):
        verifier.verify(token(theirs, "Ed25519", "https://id.stranger.example"))


@pytest.mark.parametrize("role", ["service", "worker_agent"])
def test_an_issuer_grants_roles_outside_the_register_only_if_the_file_says_so(role: str) -> None:
    key = OKPKey.generate_key("Ed25519", auto_kid=True)
    verifier = Verifier([issuer_of(KeySet([key]), "Ed25519")], SetClock(NOON))

    with pytest.raises(Unauthenticated, match=f"may not grant the role {role}"):
        verifier.verify(token(key, "Ed25519", roles=[role]))


def test_a_new_key_is_accepted_after_a_reload_and_an_old_one_no_more(tmp_path: Path) -> None:
    path, seconds = tmp_path / "jwks.json", Seconds()
    old, new = (OKPKey.generate_key("Ed25519", auto_kid=True) for _ in range(2))
    write_keys(path, old)
    keys = RereadFile(path, parse_keys, seconds)
    verifier = Verifier([issuer_of(keys, "Ed25519")], SetClock(NOON))
    verifier.verify(token(old, "Ed25519"))
    write_keys(path, new)
    with pytest.raises(Unauthenticated):  # the file was read a moment ago
        verifier.verify(token(new, "Ed25519"))

    seconds.now += REREAD_SECONDS

    assert verifier.verify(token(new, "Ed25519")).subject == "li"
    with pytest.raises(Unauthenticated):
        verifier.verify(token(old, "Ed25519"))


def test_an_unknown_key_makes_the_file_be_read_though_it_looks_the_same(tmp_path: Path) -> None:
    path, seconds = tmp_path / "jwks.json", Seconds()
    old, new = (OKPKey.generate_key("Ed25519", auto_kid=True) for _ in range(2))
    write_keys(path, old)
    stamp = path.stat()
    keys = RereadFile(path, parse_keys, seconds)
    verifier = Verifier([issuer_of(keys, "Ed25519")], SetClock(NOON))
    write_keys(path, new)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert path.stat().st_size == stamp.st_size
    with pytest.raises(Unauthenticated):
        verifier.verify(token(new, "Ed25519"))
    seconds.now += REREAD_SECONDS

    assert verifier.verify(token(new, "Ed25519")).subject == "li"


def test_half_of_a_file_leaves_the_keys_as_they_were(tmp_path: Path) -> None:
    path, seconds = tmp_path / "jwks.json", Seconds()
    key = OKPKey.generate_key("Ed25519", auto_kid=True)
    write_keys(path, key)
    verifier = Verifier(
        [issuer_of(RereadFile(path, parse_keys, seconds), "Ed25519")], SetClock(NOON)
    )
    path.write_text('{"keys": [', encoding="utf-8")
    seconds.now += REREAD_SECONDS

    assert verifier.verify(token(key, "Ed25519")).subject == "li"
    path.unlink()
    seconds.now += REREAD_SECONDS
    assert verifier.verify(token(key, "Ed25519", sub="wang")).subject == "wang"


def test_a_revoked_token_is_refused_though_it_was_verified_before(tmp_path: Path) -> None:
    path, seconds = tmp_path / "revoked", Seconds()
    path.write_text("# stolen\n\n", encoding="utf-8")
    key = OKPKey.generate_key("Ed25519", auto_kid=True)
    revoked = RereadFile(path, parse_revoked, seconds)
    verifier = Verifier([issuer_of(KeySet([key]), "Ed25519")], SetClock(NOON), revoked)
    stolen, other = (token(key, "Ed25519", jti=identity) for identity in ("t1", "t2"))
    verifier.verify(stolen)
    path.write_text("t1 # stolen\n", encoding="utf-8")
    seconds.now += REREAD_SECONDS

    with pytest.raises(Unauthenticated, match="was revoked"):
        verifier.verify(stolen)
    assert verifier.verify(other).id == "t2"


def test_a_file_of_issuers_maps_claims_of_another_name(tmp_path: Path) -> None:
    key = RSAKey.generate_key(2048, auto_kid=True)
    write_keys(tmp_path / "province.json", key)
    path = tmp_path / "issuers.toml"
    path.write_text(
        f"""[[issuer]]
name = "{PROVINCE}"
jwks_file = "province.json"
algorithms = ["PS256"]
outside_register = ["worker_agent"]
claims = {{roles = "resource_access.oip.roles", platform = "org", person = "worker"}}
""",
        encoding="utf-8",
    )
    verifier = Verifier(load_issuers(path), SetClock(NOON))
    text = token(
        key,
        "PS256",
        roles=["administrator"],
        resource_access={"oip": {"roles": ["worker_agent"]}},
        worker="workers/12",
        org="91350100M000100Y43",
    )

    read = verifier.verify(text)

    assert (read.person, read.platform) == ("workers/12", "91350100M000100Y43")
    assert len(read.roles) == 1
    assert read.issue_time == NOON
    with pytest.raises(Unauthenticated):
        Verifier(load_issuers(path), SetClock(NOON + timedelta(hours=1))).verify(text)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "issuer = []",
        "issuer = 7",
        '[[issuer]]\nname = "a"',
        '[[issuer]]\nname = "a"\njwks_file = "k.json"\nalgorithms = ["none"]',
        '[[issuer]]\nname = "a"\njwks_file = "k.json"\nalgorithms = ["HS256"]',
        '[[issuer]]\nname = "a"\njwks_file = "k.json"\nalgorithms = []',
        '[[issuer]]\nname = ""\njwks_file = "k.json"\nalgorithms = ["ES256"]',
        '[[issuer]]\nname = "a"\njwks_file = "gone.json"\nalgorithms = ["ES256"]',
        '[[issuer]]\nname = "a"\njwks_file = "k.json"\nalgorithms = ["ES256"]\nleeway = 9',
        '[[issuer]]\nname = "a"\nalgorithms = ["ES256"]\noutside_register = ["king"]',
        '[[issuer]]\nname = "a"\njwks_file = "k.json"\nalgorithms = ["ES256"]\n' * 2,
    ],
)
def test_a_wrong_file_of_issuers_is_named(tmp_path: Path, content: str) -> None:
    write_keys(tmp_path / "k.json", OKPKey.generate_key("Ed25519", auto_kid=True))
    path = tmp_path / "issuers.toml"
    path.write_text(content, encoding="utf-8")

    with pytest.raises(IssuersFileError):
        load_issuers(path)
