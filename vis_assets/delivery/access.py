"""How to reach NATS and what to show it there: servers, credentials, TLS. No secret in a repr or message."""

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import SplitResult, unquote, urlsplit

import nats.errors
from nats.aio.client import RawCredentials

from vis_assets.errors import InvalidSetting
from vis_assets.settings import Settings, redacted

REFUSALS = ("authorization violation", "authorization failed", "authentication", "permissions violation")
"""What a server's refusal contains, in lower case."""
_BLOCK = re.compile(r"-{3,}BEGIN ([A-Z ]+?)-{3,}\s+([\w.=-]+)\s+-{3,}END [A-Z ]+?-{3,}")
"""One part of a credentials file: its name and its value."""


@dataclass(frozen=True)
class NatsAccess:
    """Where NATS is and how it knows us.

    Attributes:
        url: `nats://[user:password@]host:port` or `nats://[token@]host:port`, several separated by commas; with `tls://`
            the connection is encrypted or not made. User, password and token may be percent-encoded.
        token: token, where the URL holds none.
        nkey_seed_file: file with the seed of a user's nkey.
        creds_file: file with a user's JWT and seed, as `nsc` writes it.
        tls_ca_file: PEM file with the authorities to trust instead of the system's.
        tls_cert_file: PEM file with our certificate.
        tls_key_file: PEM file with its key.
    """

    url: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    nkey_seed_file: Path | None = None
    creds_file: Path | None = None
    tls_ca_file: Path | None = None
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Take the access from the settings."""
        return cls(
            url=settings.nats_url.get_secret_value(),
            token=settings.nats_token.get_secret_value() if settings.nats_token else None,
            nkey_seed_file=settings.nats_nkey_seed_file,
            creds_file=settings.nats_creds_file,
            tls_ca_file=settings.nats_tls_ca_file,
            tls_cert_file=settings.nats_tls_cert_file,
            tls_key_file=settings.nats_tls_key_file,
        )

    @property
    def servers(self) -> str:
        """The servers, without users, passwords and tokens."""
        return redacted(self.url)

    @property
    def insists_on_tls(self) -> bool:
        """Whether an unencrypted connection is refused."""
        schemes = {server.strip().partition("://")[0] for server in self.url.split(",")}
        return "tls" in schemes or self.tls_ca_file is not None or self.tls_cert_file is not None

    @property
    def credentials(self) -> str | None:
        """What we show the server, by the name of its setting; None where nothing is configured."""
        if self.token is not None:
            return "NATS_TOKEN"
        if self.nkey_seed_file is not None:
            return f"NATS_NKEY_SEED_FILE={self.nkey_seed_file}"
        if self.creds_file is not None:
            return f"NATS_CREDS_FILE={self.creds_file}"
        return "the user and password, or the token, in NATS_URL" if "@" in self.url else None

    def options(self) -> dict[str, Any]:
        """Return the arguments of `nats.aio.client.Client.connect` that say where to connect, and as whom.

        Files are read now and not again, so that a reconnection does not meet half of a new one.

        Raises:
            InvalidSetting: the URL is malformed; a file is missing or not what it should be.
        """
        servers = [self._server(server) for server in self.url.split(",")]
        options: dict[str, Any] = {"servers": [f"{s.scheme}://{s.netloc.rpartition('@')[2]}" for s in servers]}
        options |= next((_named(server) for server in servers if server.username is not None), {})
        if self.token is not None:
            options["token"] = self.token
        if self.nkey_seed_file is not None:
            seed = _read("NATS_NKEY_SEED_FILE", self.nkey_seed_file).strip()
            options["nkeys_seed_str"] = _user_seed(seed, f"NATS_NKEY_SEED_FILE={self.nkey_seed_file}")
        if self.creds_file is not None:
            options["user_credentials"] = _credentials(self.creds_file)
        if self.insists_on_tls:
            options["tls"] = self._tls()
        return options

    def explain(self, error: Exception) -> str | None:
        """Say what a refusal by the server means and what to check; None where the error is no refusal."""
        if isinstance(error, nats.errors.SecureConnWantedError):
            return (
                f"NATS at {self.servers} offers no TLS, but NATS_URL says tls:// or NATS_TLS_… is set; nothing was "
                "sent to it. Switch TLS on at the server, or unset these"
            )
        if isinstance(error, ssl.SSLError):
            reason = getattr(error, "verify_message", None) or error.reason or "handshake failed"
            return (
                f"no TLS connection to NATS at {self.servers} ({reason}); check NATS_TLS_CA_FILE, the server's name in "
                "its certificate and, if the server asks for ours, NATS_TLS_CERT_FILE and NATS_TLS_KEY_FILE"
            )
        said = str(error).removeprefix("nats: ").strip("'")
        if not any(word in said.lower() for word in REFUSALS):
            return None
        if "permissions violation" in said.lower():
            return f"NATS at {self.servers} forbids us something ({said}); check the permissions of our user there"
        if self.credentials is None:
            return (
                f"NATS at {self.servers} asks for credentials ({said}); put user and password into NATS_URL, or set "
                "NATS_TOKEN, NATS_NKEY_SEED_FILE or NATS_CREDS_FILE"
            )
        return f"NATS at {self.servers} refused us ({said}); check {self.credentials}, and our user at the server"

    def _server(self, text: str) -> SplitResult:
        try:
            parts = urlsplit(text.strip() if "://" in text else f"nats://{text.strip()}")
            sound = parts.scheme in {"nats", "tls"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            sound = False
        if not sound or parts.path.strip("/") or parts.query or parts.fragment:
            raise InvalidSetting(
                f"NATS_URL is malformed ({self.servers}); write nats://host:port or tls://host:port, and "
                "percent-encode / ? # @ in a user, password or token"
            )
        return parts

    def _tls(self) -> ssl.SSLContext:
        if self.tls_ca_file is not None:
            _read("NATS_TLS_CA_FILE", self.tls_ca_file)
        try:
            context = ssl.create_default_context(cafile=self.tls_ca_file)
        except ssl.SSLError:
            raise InvalidSetting(f"NATS_TLS_CA_FILE={self.tls_ca_file} holds no PEM certificate") from None
        if self.tls_cert_file is None or self.tls_key_file is None:
            return context
        _read("NATS_TLS_CERT_FILE", self.tls_cert_file)
        _read("NATS_TLS_KEY_FILE", self.tls_key_file)
        try:
            # Without a password of ours OpenSSL would ask for one on the terminal.
            context.load_cert_chain(self.tls_cert_file, self.tls_key_file, password="")
        except ssl.SSLError as error:
            raise InvalidSetting(
                f"NATS_TLS_CERT_FILE={self.tls_cert_file} and NATS_TLS_KEY_FILE={self.tls_key_file} are no PEM "
                f"certificate and its unencrypted key ({error.reason})"
            ) from None
        return context


def _named(server: SplitResult) -> dict[str, str]:
    """Return user and password, or token, decoded; nats-py takes them as they stand in the URL."""
    user = unquote(server.username or "")
    return {"token": user} if server.password is None else {"user": user, "password": unquote(server.password)}


def _read(variable: str, path: Path) -> str:
    try:
        return path.read_bytes().decode("ascii", errors="replace")
    except OSError as error:
        raise InvalidSetting(f"{variable}={path} cannot be read: {error.strerror}; name a readable file") from None


def _credentials(path: Path) -> RawCredentials:
    """Read a credentials file; nats-py would search for ever in one without a JWT."""
    origin = f"NATS_CREDS_FILE={path}"
    parts = dict(_BLOCK.findall(_read("NATS_CREDS_FILE", path)))
    jwt, seed = parts.get("NATS USER JWT", ""), parts.get("USER NKEY SEED", "")
    if jwt.count(".") != 2:  # noqa: PLR2004 - a JWT has three parts
        raise InvalidSetting(f"{origin} holds no user's JWT; write it anew, e.g. with `nsc generate creds`")
    seed = _user_seed(seed, origin)
    return RawCredentials(
        f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )


def _user_seed(seed: str, origin: str) -> str:
    """Return the seed if it is a user's; the nkeys package does not look at its checksum."""
    import nkeys

    try:
        prefix, raw = nkeys.decode_seed(seed.encode())
        sound = prefix == nkeys.PREFIX_BYTE_USER and nkeys.encode_seed(raw, prefix).decode() == seed
    except (nkeys.NkeysError, ValueError):
        sound = False
    if not sound:
        raise InvalidSetting(f"{origin} holds no seed of a user's nkey (SU…); make one with `nk -gen user`")
    return seed
