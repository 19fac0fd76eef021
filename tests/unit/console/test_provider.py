"""Signing in with an identity provider that runs: code flow with PKCE, state, nonce, renewal."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from services.console.provider import CALLBACK, Provider, SignInRefusedError
from services.console.sessions import Session, Tokens
from services.console.settings import ConsoleSettings
from services.runtime.base.clock import SetClock, SystemClock
from tests.support.ports import reserved_port

URL = "http://127.0.0.1:1"
START_SECONDS = 30


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """The address of a provider in a process of its own."""
    with reserved_port() as port:
        command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port)]
        environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            address = f"http://127.0.0.1:{port}"
            end = time.monotonic() + START_SECONDS
            while not _answers(address):
                assert process.poll() is None
                assert time.monotonic() < end, "the provider did not start"
                time.sleep(0.1)
            yield address
            process.terminate()


def _answers(address: str) -> bool:
    try:
        httpx2.get(f"{address}/.well-known/openid-configuration")
    except httpx2.HTTPError:
        return False
    return True


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("console") / "client.secret"
    file.write_text("a secret of the client\n", encoding="ascii")
    return file


def provider(issuer: str, secret: Path | None = None) -> Provider:
    settings = ConsoleSettings(
        oidc_issuer=issuer, oidc_client_id="console", oidc_client_secret_file=secret, url=URL
    )
    return Provider(settings, SystemClock())


async def came_back(address: str, subject: str = "sun") -> dict[str, str]:
    """What the provider sends along when the person has signed in there."""
    async with httpx2.AsyncClient() as client:
        answer = await client.post(address, data={"sub": subject})
    place = urlsplit(answer.headers["location"])
    assert f"{place.scheme}://{place.netloc}{place.path}" == f"{URL}{CALLBACK}"
    return {name: values[0] for name, values in parse_qs(place.query).items()}


async def test_a_person_signs_in_and_the_tokens_can_be_renewed(issuer: str, secret: Path) -> None:
    own = provider(issuer, secret)
    address, kept = await own.begin(URL)
    asked = parse_qs(urlsplit(address).query)
    assert asked["code_challenge_method"] == ["S256"]
    digest = sha256(kept["verifier"].encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert asked["code_challenge"] == [challenge]
    assert asked["response_type"] == ["code"]
    tokens = await own.finish(URL, kept, await came_back(address))
    assert tokens.access
    ended = Session("s", "c", tokens=Tokens(tokens.access, tokens.refresh, 0))
    renewed = await own.current(ended)

    assert renewed is not None
    assert renewed.tokens is not None
    assert renewed.tokens.expires > 0
    assert own.token_of(renewed) == renewed.tokens.access


async def test_an_answer_of_another_sign_in_is_refused(issuer: str, secret: Path) -> None:
    own = provider(issuer, secret)
    address, kept = await own.begin(URL)
    query = await came_back(address)
    _, other = await own.begin(URL)
    with pytest.raises(SignInRefusedError):
        await own.finish(URL, other, query)
    with pytest.raises(SignInRefusedError):
        await own.finish(URL, {}, query)
    with pytest.raises(SignInRefusedError):
        await own.finish(URL, kept | {"nonce": "another"}, query)


async def test_who_did_not_sign_in_is_refused(issuer: str, secret: Path) -> None:
    own = provider(issuer, secret)
    _, kept = await own.begin(URL)

    with pytest.raises(SignInRefusedError):
        await own.finish(URL, kept, {"state": kept["state"], "error": "access_denied"})


async def test_a_provider_that_does_not_describe_itself_signs_nobody_in(issuer: str) -> None:
    for name in ("http://127.0.0.1:1", f"{issuer}/elsewhere"):
        with pytest.raises(SignInRefusedError):
            await provider(name).begin(URL)


async def test_tokens_that_ran_out_end_the_session() -> None:
    own = Provider(ConsoleSettings(oidc_issuer="http://127.0.0.1:1"), SetClock(SystemClock().now()))
    now = int(SystemClock().now().timestamp())
    for seconds, stays in ((timedelta(minutes=5), True), (timedelta(minutes=-1), False)):
        expires = now + int(seconds.total_seconds())
        session = Session("s", "c", tokens=Tokens("token", "", expires))
        assert (await own.current(session) is not None) == stays
