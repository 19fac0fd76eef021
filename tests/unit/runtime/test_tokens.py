import json
import re
import stat
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey
from oip.type.v1 import type_pb2

from services.runtime.base.clock import SetClock
from services.runtime.rpc.access import Unauthenticated
from services.runtime.rpc.roles import role_names, role_of
from services.runtime.rpc.tokens import DEVELOPMENT_ISSUER, Issuer, file_source

NOON = datetime(2025, 7, 1, 4, tzinfo=UTC)
CODE = "91350100M000100Y43"


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOON)


@pytest.fixture
def issuer(tmp_path: Path, clock: SetClock) -> Issuer:
    return Issuer.at(tmp_path / "keys" / "signing.json", tmp_path / "keys" / "jwks.json", clock)


def test_a_token_names_its_subject_roles_and_platform(issuer: Issuer) -> None:
    who = issuer.verifier().verify(issuer.issue("waimai", ["platform"], CODE))

    assert who.subject == "waimai"
    assert who.roles == {type_pb2.Access.PLATFORM}
    assert who.platform == CODE
    assert who.issuer == DEVELOPMENT_ISSUER


def test_an_expired_token_is_refused(issuer: Issuer, clock: SetClock) -> None:
    verifier = issuer.verifier()
    token = issuer.issue("li", ["adjudicator"], lifetime=timedelta(minutes=5))
    verifier.verify(token)

    clock.set(NOON + timedelta(minutes=6))

    with pytest.raises(Unauthenticated, match="expired"):
        verifier.verify(token)


def test_a_token_not_valid_yet_is_refused(issuer: Issuer, clock: SetClock) -> None:
    clock.set(NOON + timedelta(days=1))
    token = issuer.issue("li", ["adjudicator"])
    clock.set(NOON)

    with pytest.raises(Unauthenticated):
        issuer.verifier().verify(token)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "someone-else"},
        {"aud": None},
        {"exp": None},
        {"sub": None},
        {"roles": ["king"]},
        {"roles": "administrator"},
        {"roles": ["role_unspecified"]},
        {"platform": 7},
        {"platform": "*"},
        {"platform": "91350100M000100Y44"},
        {"iss": None},
        {"iss": "https://elsewhere.example"},
        {"iss": ["oip-development"]},
        {"iat": None},
        {"iat": int(NOON.timestamp()) + 50},
        {"exp": int(NOON.timestamp()) + 12 * 3600 + 1},
        {"exp": int(NOON.timestamp()) + 10 * 365 * 86400},
        {"sub": ""},
        {"sub": "a\x00b"},
        {"sub": "x" * 201},
        {"jti": 7},
        {"person": "claims/c1"},
        {"cnf": "x"},
        {"cnf": {"x5t#S256": 7}},
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(
    issuer: Issuer, tmp_path: Path, claims: dict[str, object]
) -> None:
    key = OKPKey.import_key(json.loads((tmp_path / "keys" / "signing.json").read_text()))
    issued = int(NOON.timestamp())
    good = {
        "iss": DEVELOPMENT_ISSUER,
        "sub": "li",
        "aud": "oip",
        "iat": issued,
        "exp": issued + 60,
        "roles": ["appraiser"],
    }
    whole = jwt.encode({"alg": "Ed25519", "kid": key.kid}, dict(good), key, algorithms=["Ed25519"])
    assert issuer.verifier().verify(whole).subject == "li"
    merged = {k: v for k, v in {**good, **claims}.items() if v is not None}
    token = jwt.encode({"alg": "Ed25519", "kid": key.kid}, merged, key, algorithms=["Ed25519"])

    with pytest.raises(Unauthenticated):
        issuer.verifier().verify(token)


def test_a_token_of_another_key_is_refused(issuer: Issuer, clock: SetClock) -> None:
    stranger = Issuer(OKPKey.generate_key("Ed25519", auto_kid=True), clock)

    with pytest.raises(Unauthenticated):
        issuer.verifier().verify(stranger.issue("li", ["administrator"]))


def test_an_unsigned_token_and_a_shared_secret_are_refused(issuer: Issuer, tmp_path: Path) -> None:
    public = (tmp_path / "keys" / "jwks.json").read_text()
    secret = OctKey.import_key(public)
    claims = {"sub": "x", "aud": "oip", "exp": int(NOON.timestamp()) + 60, "roles": []}
    shared = jwt.encode({"alg": "HS256"}, dict(claims), secret, algorithms=["HS256"])
    unsigned = "eyJhbGciOiJub25lIn0." + shared.split(".")[1] + "."

    for token in (shared, unsigned, "", "a.b.c", "é.é.é"):
        with pytest.raises(Unauthenticated):
            issuer.verifier().verify(token)


def test_the_key_is_made_once_and_nobody_else_can_read_it(
    issuer: Issuer, tmp_path: Path, clock: SetClock
) -> None:
    path = tmp_path / "keys" / "signing.json"
    again = Issuer.at(path, tmp_path / "keys" / "jwks.json", clock)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert issuer.verifier().verify(again.issue("li", ["appraiser"])).subject == "li"
    assert '"d"' not in (tmp_path / "keys" / "jwks.json").read_text()


def test_a_source_renews_its_token_before_it_expires(issuer: Issuer, clock: SetClock) -> None:
    token = issuer.source("orders", ["service"], lifetime=timedelta(minutes=10))
    first = token()
    clock.set(NOON + timedelta(minutes=4))
    assert token() == first
    clock.set(NOON + timedelta(minutes=6))
    assert token() != first
    clock.set(NOON - timedelta(days=30))

    assert issuer.verifier().verify(token()).subject == "orders"


def test_a_file_source_reads_what_was_rotated_in(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one\n")
    token = file_source(path)
    assert token() == "one"
    path.write_text("two\n")

    assert token() == "two"


def test_roles_are_written_in_lower_case() -> None:
    assert "fund_approver" in role_names()
    assert role_of("fund_approver") == type_pb2.Access.FUND_APPROVER
    with pytest.raises(ValueError, match="is not a role"):
        role_of("role_unspecified")


@pytest.mark.parametrize("deep", ["[" * 3_000, "[" * 3_000 + "]" * 3_000])
@pytest.mark.parametrize("part", [0, 1])
def test_a_token_with_too_many_levels_is_refused(issuer: Issuer, deep: str, part: int) -> None:
    parts = issuer.issue("li", ["adjudicator"]).split(".")
    parts[part] = urlsafe_b64encode(deep.encode()).decode()

    with pytest.raises(Unauthenticated):
        issuer.verifier().verify(".".join(parts))


def test_what_is_wrong_with_a_token_is_said_in_both_languages(
    issuer: Issuer, clock: SetClock
) -> None:
    verifier = issuer.verifier()
    late = issuer.issue("li", ["adjudicator"], lifetime=timedelta(minutes=5))
    clock.set(NOON + timedelta(minutes=6))
    wrong = issuer.issue("li", ["adjudicator"], "no credit code")
    for token in (late, wrong, wrong[:-6] + "AAAAAA", "a.b.c"):
        with pytest.raises(Unauthenticated) as caught:
            verifier.verify(token)

        assert caught.value.facts["what"].isupper()
        assert not re.search("[a-z]+ [a-z]+ [a-z]+", caught.value.sentence_zh)
