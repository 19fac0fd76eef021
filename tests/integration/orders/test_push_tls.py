"""`oip` against services that speak over TLS only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import grpc
import pyarrow.parquet
import pytest

from services.runtime.base.settings import Settings
from services.runtime.rpc.certificates import thumbprint
from services.runtime.rpc.client import Channels
from services.runtime.service.stack import Stack
from tests.support.authorities import Authority
from tests.support.command_line import Result, oip
from tests.support.databases import Databases
from tests.support.enrolling import enrol_hints
from tests.support.order_files import MAPPING, orders_table
from tests.support.platforms import PEARL, SWIFT
from tests.support.upload_stack import enrolment_and_orders


@dataclass(frozen=True)
class Secure:
    """Enrolment and orders, which require certificates of one authority."""

    running: Stack
    credentials: grpc.ChannelCredentials
    folder: Path

    def channels(self, subject: str, *roles: str, platform: str = "") -> Channels:
        certificate = thumbprint((self.folder / "certificate.pem").read_bytes())
        source = self.running.issuer.source(subject, roles, platform, certificate=certificate)
        return Channels(self.running.addresses, source, self.credentials)

    async def push(self, *options: str, environment: dict[str, str] | None = None) -> Result:
        state_dir = self.running.settings.state_dir
        file, mapping = self.folder / "orders.parquet", self.folder / "mapping.toml"
        arguments = (*options, "orders", "push", file, "--mapping", mapping)
        return await oip(state_dir, *arguments, environment=environment)

    def file(self, name: str) -> str:
        return str(self.folder / name)


@pytest.fixture(scope="module")
async def secure(
    stack: Settings, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Secure]:
    """Both services for the file; each push of the same orders is a separate run."""
    folder = tmp_path_factory.mktemp("secure")
    authority = Authority.new()
    key, certificate = authority.issue()
    other_key, other_certificate = Authority.new().issue()
    contents = {
        "authority.pem": authority.pem,
        "key.pem": key,
        "certificate.pem": certificate,
        "other-key.pem": other_key,
        "other-certificate.pem": other_certificate,
        "mapping.toml": MAPPING.encode(),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    pyarrow.parquet.write_table(orders_table(4).slice(1), folder / "orders.parquet")
    settings = stack.model_copy(
        update={
            "tls_certificate_file": folder / "certificate.pem",
            "tls_key_file": folder / "key.pem",
            "tls_client_authority_file": folder / "authority.pem",
        }
    )
    credentials = grpc.ssl_channel_credentials(authority.pem, key, certificate)
    async with enrolment_and_orders(settings, databases) as running:
        made = Secure(running, credentials, folder)
        for platform in (SWIFT, PEARL):
            await enrol_hints(cast("Stack", made), platform, ["w0", "w1", "w2"])
        yield made


async def test_a_push_goes_over_mutual_tls(secure: Secure) -> None:
    result = await secure.push(
        *("--tls-authority", secure.file("authority.pem")),
        *("--tls-certificate", secure.file("certificate.pem")),
        *("--tls-key", secure.file("key.pem")),
    )

    assert result.exit_code == 0, result.output
    assert "orders.parquet" in result.output


async def test_the_environment_may_name_the_files(secure: Secure) -> None:
    result = await secure.push(
        environment={
            "OIP_TLS_AUTHORITY_FILE": secure.file("authority.pem"),
            "OIP_TLS_CERTIFICATE_FILE": secure.file("certificate.pem"),
            "OIP_TLS_KEY_FILE": secure.file("key.pem"),
        }
    )

    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"--tls-authority": "authority.pem"},
        {
            "--tls-authority": "authority.pem",
            "--tls-certificate": "other-certificate.pem",
            "--tls-key": "other-key.pem",
        },
        {
            "--tls-authority": "other-certificate.pem",
            "--tls-certificate": "certificate.pem",
            "--tls-key": "key.pem",
        },
    ],
    ids=["in the clear", "no certificate", "another authority's", "another authority"],
)
async def test_two_sides_that_do_not_trust_each_other_are_one_sentence(
    secure: Secure, options: dict[str, str]
) -> None:
    given = [one for name, file in options.items() for one in (name, secure.file(file))]

    result = await secure.push(*given)

    assert result.exit_code == 3, result.output
    assert "Traceback" not in result.output
    if "--tls-authority" in options and options["--tls-authority"] != "authority.pem":
        assert "do not trust each other; check the authority, the certificate" in result.output
    else:
        assert "cannot be reached" in result.output or "do not trust" in result.output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"--tls-certificate": "certificate.pem"}, "a certificate needs its key: give --tls-c"),
        ({"--tls-authority": "mapping.toml"}, "mapping.toml has no certificate in PEM"),
        ({"--tls-authority": "nothing.pem"}, "nothing.pem cannot be read: there is no such file"),
        (
            {"--tls-certificate": "certificate.pem", "--tls-key": "other-key.pem"},
            "other-key.pem are not a certificate and its key in PEM, without a password",
        ),
    ],
)
async def test_files_that_cannot_be_used_are_named(
    secure: Secure, options: dict[str, str], words: str
) -> None:
    given = [one for name, file in options.items() for one in (name, secure.file(file))]

    result = await secure.push(*given)

    assert result.exit_code == 2, result.output
    assert words in result.output
