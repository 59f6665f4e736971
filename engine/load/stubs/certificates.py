"""An authority for one run, which signs for stubbed https upstreams; its key is never written to a file."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_VALID: Final = timedelta(days=2)
_PRIVATE: Final = 0o600
_PEM: Final = serialization.Encoding.PEM
_USES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
_CRITICAL: Final = (x509.BasicConstraints, x509.KeyUsage, x509.SubjectAlternativeName)


class RunAuthority:
    """An authority whose key is in this object alone.

    Attributes:
        certificate: Its own, as PEM.
    """

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "engine load: one run")])
        uses = dict.fromkeys(_USES, False) | {"key_cert_sign": True, "crl_sign": True}
        self.certificate = self._signed(
            self._name,
            self._key,
            x509.BasicConstraints(ca=True, path_length=0),
            x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()),
            x509.KeyUsage(**uses),
        )

    def key_and_certificate(self, host: str) -> bytes:
        """A new key, and a certificate that it is `host`, as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(
            x509.Name([]),
            key,
            x509.SubjectAlternativeName([_name_of(host)]),
            x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]),
        )
        secret = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return secret + certificate

    def _signed(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, *extensions: x509.ExtensionType
    ) -> bytes:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder(self._name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - _VALID)
            .not_valid_after(now + _VALID)
        )
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        for extension in (issuer, *extensions):
            builder = builder.add_extension(extension, critical=isinstance(extension, _CRITICAL))
        return builder.sign(self._key, hashes.SHA256()).public_bytes(_PEM)


def make_certificates(
    hosts: Sequence[str], folder: Path, usual: Sequence[str]
) -> tuple[Path, dict[str, Path]]:
    """A bundle of the usual authorities and the run's own; and for each host a file of key and certificate.

    `usual`: files of authorities that are trusted too.
    """
    authority = RunAuthority()
    bundle = folder / "authorities.pem"
    bundle.write_bytes(_usual_authorities(usual) + authority.certificate)
    files = {host: folder / f"host-{number}.pem" for number, host in enumerate(hosts)}
    for host, file in files.items():
        file.touch(_PRIVATE)
        file.write_bytes(authority.key_and_certificate(host))
    return bundle, files


def _name_of(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usual_authorities(files: Sequence[str]) -> bytes:
    """Those that OpenSSL has here, those of certifi, and those in `files`."""
    paths = [*files, ssl.get_default_verify_paths().cafile]
    if find_spec("certifi") is not None:
        paths.append(import_module("certifi").where())
    found = dict.fromkeys(Path(path).resolve() for path in paths if path and Path(path).is_file())
    return b"".join(path.read_bytes().rstrip() + b"\n" for path in found)
