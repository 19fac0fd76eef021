"""Transport security of a service: its server's credentials and those of its calls."""

from __future__ import annotations

import ssl

import grpc

from services.runtime.base.refusals import StartRefusedError
from services.runtime.base.settings import Settings


def server_credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """TLS if a certificate is set; mutual TLS if an authority is set too.

    Raises StartRefusedError for half of a certificate, or one that does not fit its key.
    """
    key_pair = _key_pair(settings)
    if key_pair is None:
        return None
    authority = settings.tls_client_authority_file
    return grpc.ssl_server_credentials(
        [key_pair],
        root_certificates=authority.read_bytes() if authority else None,
        require_client_auth=authority is not None,
    )


def client_credentials(settings: Settings) -> grpc.ChannelCredentials | None:
    """The same for the calls of this service."""
    key_pair = _key_pair(settings)
    if key_pair is None:
        return None
    key, certificate = key_pair
    authority = settings.tls_client_authority_file
    return grpc.ssl_channel_credentials(
        root_certificates=authority.read_bytes() if authority else None,
        private_key=key,
        certificate_chain=certificate,
    )


def _key_pair(settings: Settings) -> tuple[bytes, bytes] | None:
    """Private key and certificate; None if neither is set."""
    key, certificate = settings.tls_key_file, settings.tls_certificate_file
    if key is None and certificate is None:
        return None
    if key is None or certificate is None:
        raise StartRefusedError("set both OIP_TLS_CERTIFICATE_FILE and OIP_TLS_KEY_FILE")
    # Read first: the error of the library names no file.
    pair = key.read_bytes(), certificate.read_bytes()
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        raise StartRefusedError(
            f"{certificate} and {key} are no certificate with its key ({error.reason}); set "
            "OIP_TLS_CERTIFICATE_FILE and OIP_TLS_KEY_FILE"
        ) from error
    return pair
