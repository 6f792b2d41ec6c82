"""Opens a Qdrant client for a connection URL: gRPC, REST or a local folder."""

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vis_assets.errors import InvalidJob, SourceRejected, Unauthorized
from vis_assets.sources.hosts import URL_FIELD, Endpoint, judge_host, judge_path, split_url
from vis_assets.sources.points import AccessPolicy, SourceRequest
from vis_assets.sources.qdrant_errors import Target, call

if TYPE_CHECKING:
    import httpx
    from qdrant_client import QdrantClient

TIMEOUT_SECONDS = 60
REST_PORT = 6333
GRPC_PORT = 6334
LOCAL_META_FILE = "meta.json"
_SENDABLE_KEY = re.compile(r"[!-~]([ -~]*[!-~])?")


@dataclass(frozen=True)
class Connection:
    """An open client.

    Attributes:
        client: Qdrant's own client.
        over_grpc: whether it speaks gRPC; else REST, or it is the local mode.
        target: what error messages call it.
    """

    client: "QdrantClient"
    over_grpc: bool
    target: Target


@contextmanager
def connect(request: SourceRequest, policy: AccessPolicy) -> Iterator[Connection]:
    """Open a client for the request's URL and close it at the end.

    Port 6334 and the schemes grpc:// and grpcs:// mean gRPC, everything else REST; without a port Qdrant's own default
    of the protocol is used. file:///folder opens the local mode, which unpickles what it finds and locks the folder.

    Raises:
        InvalidJob, HostNotAllowed: the URL is malformed or the policy forbids it.
        SourceRejected: a folder that holds no Qdrant collections.
        SourceUnavailable: the folder is locked, or the name cannot be resolved.
    """
    if split_url(request.connection_url).scheme == "file":
        connection = _open_folder(judge_path(request.connection_url, policy), request)
    else:
        endpoint = judge_host(request.connection_url, policy, sends_secret=bool(request.api_key))
        connection = open_server(endpoint, request)
    try:
        yield connection
    finally:
        connection.client.close()


def _open_folder(folder: Path, request: SourceRequest) -> Connection:
    from qdrant_client import QdrantClient

    # The local mode would create an empty database in any folder it is given.
    if not (folder / LOCAL_META_FILE).is_file():
        raise SourceRejected(f"{URL_FIELD}: {folder} is no folder of Qdrant's local mode (it has no {LOCAL_META_FILE})")
    target = Target(f"The Qdrant folder {folder}", request.collection or None, None)

    def open_client() -> "QdrantClient":
        with warnings.catch_warnings():
            # It warns about collections of more than 20,000 points, which work.
            warnings.simplefilter("ignore", UserWarning)
            return QdrantClient(path=str(folder))

    return Connection(call(target, open_client), over_grpc=False, target=target)


def open_server(endpoint: Endpoint, request: SourceRequest) -> Connection:
    """Open a client for an endpoint that the policy lets through; the caller closes it.

    Raises:
        InvalidJob: a path for gRPC.
        Unauthorized: the API key is none that can be sent.
    """
    from qdrant_client import QdrantClient

    over_grpc = endpoint.scheme.startswith("grpc") or endpoint.port == GRPC_PORT
    if over_grpc and endpoint.path:
        raise InvalidJob(f"{URL_FIELD} has a path, which gRPC does not; remove it, or use REST on port {REST_PORT}")
    port = endpoint.port or (GRPC_PORT if over_grpc else REST_PORT)
    shown_host = _bracketed(endpoint.host)
    target = Target(
        f"Qdrant at {shown_host}:{port} ({'gRPC' if over_grpc else 'REST'})",
        request.collection or None,
        request.api_key,
    )
    if request.api_key and not _SENDABLE_KEY.fullmatch(request.api_key):
        # The clients would quote it in their complaint.
        raise Unauthorized(
            f"{target.server}: the API key holds a line break, a space at its end or a character that is not ASCII, "
            "which no request can carry; set vector_database_config.api_key to the key alone"
        )
    with warnings.catch_warnings():
        # It warns about a key over plain http, which judge_host has decided about.
        warnings.simplefilter("ignore", UserWarning)
        client = QdrantClient(
            host=_bracketed(endpoint.address or endpoint.host),
            port=port,
            grpc_port=port,
            prefer_grpc=over_grpc,
            https=endpoint.encrypted,
            api_key=request.api_key,
            prefix=endpoint.path or None,
            timeout=TIMEOUT_SECONDS,
            check_compatibility=False,
            pool_size=1,
            grpc_options=_grpc_options(endpoint, port),
        )
    if endpoint.address is not None and endpoint.address != endpoint.host and not over_grpc:
        _name_host_in_requests(client, endpoint.host, f"{shown_host}:{port}")
    return Connection(client, over_grpc, target)


def _grpc_options(endpoint: Endpoint, port: int) -> dict[str, Any]:
    options: dict[str, Any] = {"grpc.initial_reconnect_backoff_ms": 200, "grpc.min_reconnect_backoff_ms": 200}
    if endpoint.address is not None and endpoint.address != endpoint.host:
        options["grpc.default_authority"] = f"{endpoint.host}:{port}"
        options["grpc.ssl_target_name_override"] = endpoint.host
    authority_file = os.environ.get("SSL_CERT_FILE")
    # REST follows SSL_CERT_FILE by itself; gRPC would trust only the authorities it carries.
    if endpoint.encrypted and authority_file and Path(authority_file).is_file():
        options["root_certificates"] = Path(authority_file).read_bytes()
    return options


def _name_host_in_requests(client: "QdrantClient", host: str, host_header: str) -> None:
    """Keep the name in the Host header and in TLS, while the connection goes to the judged address."""

    def name_host(request: "httpx.Request", send: Any) -> Any:
        request.headers["Host"] = host_header
        request.extensions["sni_hostname"] = host
        return send(request)

    client.http.client.add_middleware(name_host)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
