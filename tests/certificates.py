"""Certificates that tests make: an authority, and what it signs."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Pair:
    """A certificate and its key, in PEM."""

    certificate: bytes
    key: bytes

    def write(self, folder: Path) -> tuple[str, str]:
        """Puts both into a folder as a deployment does, by moving; their paths."""
        paths = folder / "cert.pem", folder / "key.pem"
        for path, content in zip(paths, (self.certificate, self.key), strict=True):
            new = path.with_suffix(".new")
            new.write_bytes(content)
            new.rename(path)
        return str(paths[0]), str(paths[1])


class Authority:
    """Signs certificates of 127.0.0.1, unless they are to be another host's."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self._certificate = self._sign(self._name, self._key, ca=True)
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM)

    def pair(self, name: str, days: int = 1, host: str = "", uri: str = "") -> Pair:
        """A certificate that it signs, good for some days from now; negative for a past one."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(_name(name), key, ca=False, days=days, host=host, uri=uri)
        return Pair(
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )

    def _sign(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        ca: bool,
        days: int = 1,
        host: str = "",
        uri: str = "",
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        here: list[x509.GeneralName] = [
            x509.DNSName("localhost"),
            x509.IPAddress(IPv4Address("127.0.0.1")),
        ]
        names: list[x509.GeneralName] = here
        if host:
            names = [x509.DNSName(host)]
        if uri:
            names = [x509.UniformResourceIdentifier(uri)]
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=30))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
