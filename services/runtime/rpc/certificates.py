"""Client certificates, to which tokens are bound (RFC 8705)."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes


def thumbprint(pem: bytes) -> bytes:
    """The SHA-256 of a certificate, as `cnf.x5t#S256` of a token carries it."""
    return x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256())
