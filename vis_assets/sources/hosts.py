"""Which hosts and folders a connection URL may reach: the operator decides, a job never does.

Without a list of allowed hosts, a name is resolved here, every address it has is judged, and the connection is then
made to the judged address: asking the resolver a second time could give another answer (DNS rebinding).
"""

import ipaddress
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from vis_assets.errors import HostNotAllowed, InvalidJob, SourceRejected, SourceUnavailable
from vis_assets.sources.points import AccessPolicy

ANY_PUBLIC_HOST = "*"
"""In the list of allowed hosts: whatever would be allowed without a list."""
URL_FIELD = "vector_database_config.connection_url"

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

METADATA_ADDRESSES = frozenset(
    ipaddress.ip_address(address)
    for address in (
        "169.254.169.254",  # AWS, Google, Azure, OpenStack
        "fd00:ec2::254",  # AWS over IPv6
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle
        "168.63.129.16",  # Azure's wire server
    )
)

_SCHEMES = {"http": False, "https": True, "grpc": False, "grpcs": True}
_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}")
_UNSAFE_IN_URL = re.compile(r"[^\x21-\x7e]|\\")


@dataclass(frozen=True)
class Endpoint:
    """A host that the policy lets through.

    Attributes:
        scheme: http, https, grpc or grpcs.
        host: name or address as the job wrote it, lower case, IPv6 without brackets.
        port: as the job wrote it, or None.
        path: prefix of the REST paths, "" for none.
        address: the address to connect to; None leaves the resolving to the client (host listed by the operator).
    """

    scheme: str
    host: str
    port: int | None
    path: str
    address: str | None

    @property
    def encrypted(self) -> bool:
        """Whether the connection uses TLS."""
        return _SCHEMES[self.scheme]


def judge_host(connection_url: str, policy: AccessPolicy, *, sends_secret: bool, field: str = URL_FIELD) -> Endpoint:
    """Check a connection URL against the policy.

    Args:
        connection_url: http, https, grpc or grpcs URL.
        policy: which hosts are allowed.
        sends_secret: whether an API key will travel over the connection.
        field: where the URL stands, for messages.

    Raises:
        InvalidJob: malformed URL, or one with user, password, query or fragment.
        HostNotAllowed: the policy forbids the host, or the key would travel in clear text to an unlisted host.
        SourceUnavailable: the name cannot be resolved.
    """
    parts = split_url(connection_url, field)
    if parts.scheme not in _SCHEMES:
        raise InvalidJob(
            f"{field} has the scheme {parts.scheme!r:.40}; use http, https, grpc, grpcs, or file for local data"
        )
    host, port = _host_and_port(parts, field)
    endpoint = Endpoint(parts.scheme, host, port, parts.path.rstrip("/"), None)
    if policy.allowed_hosts is not None and _is_listed(host, policy.allowed_hosts):
        return endpoint
    if policy.allowed_hosts is not None and ANY_PUBLIC_HOST not in policy.allowed_hosts:
        raise HostNotAllowed(
            f"{field} points to {host!r}, which is not in VIS_ASSETS_ALLOWED_HOSTS; the operator can add it"
        )
    address = _judged_address(host, field)
    if sends_secret and not endpoint.encrypted:
        raise HostNotAllowed(
            f"{field} would send the API key in clear text to {host!r}; use https:// or grpcs://, "
            "or have the operator list the host in VIS_ASSETS_ALLOWED_HOSTS"
        )
    return Endpoint(endpoint.scheme, host, port, endpoint.path, address)


def names_listed_host(connection_url: str, policy: AccessPolicy, field: str = URL_FIELD) -> bool:
    """Whether the operator listed the URL's host by name, and so trusts it with the installation's own key.

    Raises:
        InvalidJob: malformed URL.
    """
    return policy.allowed_hosts is not None and _is_listed(
        _host_and_port(split_url(connection_url, field), field)[0], policy.allowed_hosts
    )


def judge_path(connection_url: str, policy: AccessPolicy) -> Path:
    """Return the real path behind a file:// URL, if it exists and lies under the policy's root.

    Raises:
        InvalidJob: malformed URL.
        HostNotAllowed: no root is set, or the path, symbolic links followed, is not under it.
        SourceRejected: nothing is there.
    """
    parts = split_url(connection_url)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        raise InvalidJob(f"{URL_FIELD} must be file:///absolute/path for this kind of source")
    if policy.local_root is None:
        raise HostNotAllowed(
            f"{URL_FIELD} names a local path, and this installation allows none; "
            "the operator can set VIS_ASSETS_LOCAL_ROOT to the folder that holds such data"
        )
    text = unquote(parts.path)
    if "\0" in text:
        raise InvalidJob(f"{URL_FIELD} holds a NUL byte")
    return require_local(Path(text), policy.local_root)


def require_local(path: Path, local_root: Path) -> Path:
    """Return the real path, symbolic links followed, if it exists and lies under the root.

    Raises:
        HostNotAllowed: it does not lie there.
        SourceRejected: nothing is there.
    """
    path, root = path.resolve(), local_root.resolve()
    # Judged before asking whether it exists: a job must not learn what lies outside the root.
    if not path.is_relative_to(root):
        raise HostNotAllowed(f"{URL_FIELD} does not lie under VIS_ASSETS_LOCAL_ROOT ({root}); move the data there")
    if not path.exists():
        raise SourceRejected(f"{URL_FIELD}: there is nothing at {path}; check the path")
    return path


def split_url(connection_url: str, field: str = URL_FIELD) -> SplitResult:
    """Split a connection URL, refusing what could hide a secret or fool one of two parsers.

    Raises:
        InvalidJob: not a URL, or one with user, password, query or fragment; the message never echoes them.
    """
    if _UNSAFE_IN_URL.search(connection_url):
        raise InvalidJob(f"{field} holds spaces, control characters, backslashes or non-ASCII; write it without")
    try:
        parts = urlsplit(connection_url)
    except ValueError:
        parts = SplitResult("", "", "", "", "")
    if not parts.scheme:
        raise InvalidJob(f"{field} is no URL; write it like http://host:6333")
    if "@" in parts.netloc or "?" in connection_url or "#" in connection_url:
        raise InvalidJob(f"{field} must hold no user, password, query or fragment; an API key belongs in api_key")
    return parts


def _host_and_port(parts: SplitResult, field: str) -> tuple[str, int | None]:
    host = (parts.hostname or "").lower().removesuffix(".")
    if not _HOST.fullmatch(host):
        raise InvalidJob(f"{field} holds no valid host name; write it like http://host:6333 (IDN as xn--...)")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise InvalidJob(f"{field} holds no valid port; use 1 to 65535, for Qdrant 6333 (REST) or 6334 (gRPC)")
    return host, port


def _is_listed(host: str, allowed_hosts: frozenset[str]) -> bool:
    return _canonical(host) in {_canonical(allowed) for allowed in allowed_hosts}


def _canonical(host: str) -> str:
    bare = host.strip().strip("[]").rstrip(".").lower()
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        return bare


def _judged_address(host: str, field: str) -> str:
    addresses = _resolve(host, field)
    for address in addresses:
        if _is_forbidden(address):
            raise HostNotAllowed(
                f"{field} points to {host!r}, a loopback, link-local, metadata or otherwise internal address; "
                "the operator can allow it with VIS_ASSETS_ALLOWED_HOSTS"
            )
    # getaddrinfo sorts by RFC 6724, so the first address is one that this machine has a route to.
    return str(addresses[0])


def _resolve(host: str, field: str) -> list[IPAddress]:
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        pass
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise SourceUnavailable(
            f"{field}: the host name {host!r} cannot be resolved ({error}); check the name and the DNS"
        ) from error
    # The scope of a link-local IPv6 address (fe80::1%eth0) says nothing about whether it is allowed.
    return [ipaddress.ip_address(str(answer[4][0]).partition("%")[0]) for answer in answers]


def _is_forbidden(address: IPAddress) -> bool:
    inner = _embedded_ipv4(address)
    if inner is not None:
        return _is_forbidden(inner)
    return (
        address in METADATA_ADDRESSES
        or address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address.is_multicast
        or address.is_reserved
        or address in _THIS_NETWORK
        or (isinstance(address, ipaddress.IPv6Address) and address.is_site_local)
    )


def _embedded_ipv4(address: IPAddress) -> ipaddress.IPv4Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(address.packed[-4:])
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)
