"""Transport security of the command line: the authority it trusts, and its own certificate."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

from services.client.error_words import os_words
from services.kernel.phrases import Phrase


class TlsWrong(Exception):  # noqa: N818 - a refusal is not an error of the program
    """The files cannot be used; the phrase says which and why."""

    def __init__(self, en: str, zh: str, **facts: object) -> None:
        self.phrase = Phrase.of("TLS_FILES_WRONG", en, zh, **facts)
        super().__init__(str(self.phrase))


@dataclass(frozen=True)
class Tls:
    """PEM files: the authority that issues the services' certificates; our certificate and key.

    With an authority alone the service authenticates itself; with all three files both sides do
    (mutual TLS). Without any, calls are not encrypted.
    """

    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def credentials(self) -> grpc.ChannelCredentials | None:
        """The credentials of channels; None without encryption. Raises TlsWrong."""
        if self.authority is self.certificate is self.key is None:
            return None
        if (self.certificate is None) != (self.key is None):
            raise TlsWrong(
                "a certificate needs its key: give --tls-certificate and --tls-key",
                "证书须与私钥一并提供: --tls-certificate 和 --tls-key",
            )
        self._check()
        # Without an authority gRPC trusts the public ones that it ships.
        files = (self.authority, self.key, self.certificate)
        return grpc.ssl_channel_credentials(
            *(path.read_bytes() if path else None for path in files)
        )

    def _check(self) -> None:
        # gRPC reports an unusable file only as an unreachable service.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for path in filter(None, (self.authority, self.certificate, self.key)):
            _require_readable(path)
        try:
            if self.authority is not None:
                context.load_verify_locations(self.authority)
        except ssl.SSLError as error:
            raise TlsWrong(
                "{file} has no certificate in PEM", "{file} 中没有 PEM 证书", file=self.authority
            ) from error
        try:
            if self.certificate is not None and self.key is not None:
                # Otherwise a key with a password would prompt at the terminal.
                context.load_cert_chain(self.certificate, self.key, password=lambda: b"")
        except ssl.SSLError as error:
            raise TlsWrong(
                "{certificate} and {key} are not a certificate and its key in PEM, without a "
                "password",
                "{certificate} 和 {key} 不是一对未加密码的 PEM 证书和私钥",
                certificate=self.certificate,
                key=self.key,
            ) from error


def _require_readable(path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise TlsWrong(
            "{file} cannot be read: {what}",
            "无法读取 {file}: {what}",
            file=path,
            what=os_words(error),
        ) from error
