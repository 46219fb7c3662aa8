"""Certificates for devices, made with `openssl`."""

import hashlib
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


@dataclass(frozen=True)
class Certificate:
    """What a device shows, and how the registry knows it."""

    certificate_file: Path
    key_file: Path
    registered_as: str

    @property
    def thumbprint(self):
        """Upper-case SHA-1, as the portal shows it; none for one that an authority signed."""
        if self.registered_as != "selfSigned":
            return None
        der = ssl.PEM_cert_to_DER_cert(self.certificate_file.read_text())
        return hashlib.sha1(der).hexdigest().upper()


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def subject(name):
    escaped = name.replace("/", "\\/")
    return f"/CN={escaped}"


def self_signed(folder, name="self-signed"):
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    openssl("req", "-x509", *NEW_KEY, "-keyout", key, "-out", certificate, "-days", 2, "-subj", subject(name))
    return Certificate(certificate, key, "selfSigned")


class Authority:
    """Signs for devices; a hub that finds its certificate in `device-ca` trusts what it signs."""

    def __init__(self, folder, trusted_in):
        self._folder = folder
        self._own = self_signed(folder, "authority")
        trusted_in.mkdir(parents=True)
        (trusted_in / "authority.pem").write_bytes(self._own.certificate_file.read_bytes())
        self._leaf = folder / "leaf.ext"
        self._leaf.write_text("basicConstraints=critical,CA:FALSE\nextendedKeyUsage=clientAuth\n")

    def sign(self, identity):
        """The common name is `device`, or `device/module`."""
        stem = self._folder / identity.replace("/", "-")
        request, certificate, key = (stem.with_suffix(s) for s in (".csr", ".pem", ".key"))
        openssl("req", "-new", *NEW_KEY, "-keyout", key, "-out", request, "-subj", subject(identity))
        openssl(
            "x509", "-req", "-in", request, "-out", certificate, "-days", 2, "-extfile", self._leaf,
            "-CA", self._own.certificate_file, "-CAkey", self._own.key_file, "-CAcreateserial",
        )  # fmt: skip
        return Certificate(certificate, key, "certificateAuthority")
