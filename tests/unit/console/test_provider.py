"""Signing in with an identity provider that runs: code flow with PKCE, state, nonce, renewal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from oidc_provider_mock import run_server_in_thread

from services.console.provider import CALLBACK, Provider, SignInRefusedError
from services.console.sessions import Session, Tokens
from services.console.settings import ConsoleSettings
from services.runtime.base.clock import SetClock, SystemClock

URL = "http://127.0.0.1:1"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with run_server_in_thread() as server:
        yield f"http://localhost:{server.server_port}"


def provider(issuer: str) -> Provider:
    return Provider(
        ConsoleSettings(oidc_issuer=issuer, oidc_client_id="console", url=URL), SystemClock()
    )


async def came_back(address: str, subject: str = "sun") -> dict[str, str]:
    """What the provider sends along when the person has signed in there."""
    async with httpx2.AsyncClient() as client:
        answer = await client.post(address, data={"sub": subject})
    place = urlsplit(answer.headers["location"])
    assert f"{place.scheme}://{place.netloc}{place.path}" == f"{URL}{CALLBACK}"
    return {name: values[0] for name, values in parse_qs(place.query).items()}


async def test_a_person_signs_in_and_the_tokens_can_be_renewed(issuer: str) -> None:
    own = provider(issuer)
    address, kept = await own.begin(URL)
    asked = parse_qs(urlsplit(address).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["response_type"] == ["code"]
    tokens = await own.finish(URL, kept, await came_back(address))
    assert tokens.access
    ended = Session("s", "c", tokens=Tokens(tokens.access, tokens.refresh, 0))
    renewed = await own.current(ended)

    assert renewed is not None
    assert renewed.tokens is not None
    assert renewed.tokens.expires > 0
    assert own.token_of(renewed) == renewed.tokens.access


async def test_an_answer_of_another_sign_in_is_refused(issuer: str) -> None:
    own = provider(issuer)
    address, kept = await own.begin(URL)
    query = await came_back(address)
    _, other = await own.begin(URL)
    with pytest.raises(SignInRefusedError):
        await own.finish(URL, other, query)
    with pytest.raises(SignInRefusedError):
        await own.finish(URL, {}, query)
    with pytest.raises(SignInRefusedError):
        await own.finish(URL, kept | {"nonce": "another"}, query)


async def test_a_code_needs_the_verifier_of_its_browser(issuer: str) -> None:
    own = provider(issuer)
    address, kept = await own.begin(URL)
    query = await came_back(address)

    with pytest.raises(SignInRefusedError):
        await own.finish(URL, kept | {"verifier": "x" * 64}, query)


async def test_who_did_not_sign_in_is_refused(issuer: str) -> None:
    own = provider(issuer)
    _, kept = await own.begin(URL)

    with pytest.raises(SignInRefusedError):
        await own.finish(URL, kept, {"state": kept["state"], "error": "access_denied"})


async def test_a_provider_that_is_down_or_has_another_name_signs_nobody_in(issuer: str) -> None:
    for name in ("http://127.0.0.1:1", issuer.replace("localhost", "127.0.0.1")):
        with pytest.raises(SignInRefusedError):
            await provider(name).begin(URL)


async def test_tokens_that_ran_out_end_the_session() -> None:
    own = Provider(ConsoleSettings(oidc_issuer="http://127.0.0.1:1"), SetClock(SystemClock().now()))
    now = int(SystemClock().now().timestamp())
    for seconds, stays in ((timedelta(minutes=5), True), (timedelta(minutes=-1), False)):
        expires = now + int(seconds.total_seconds())
        session = Session("s", "c", tokens=Tokens("token", "", expires))
        assert (await own.current(session) is not None) == stays
