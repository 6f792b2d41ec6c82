"""The HTTP client under every provider: bounded in time and size, and sending nothing but what was asked for.

A job may name the server, so the server may be hostile, and the official SDKs trust theirs: they follow redirects, wait
for as long as a byte comes now and then, unpack what is packed, and add headers out of the environment, which belong to
the installation and not to a job's server. Here a redirect is an answer like any other, one deadline holds from
connecting to the last byte, a body ends at `MAX_BODY_BYTES`, and a request leaves with headers made here, among them
the model's own key, whatever an SDK wanted to send.

Only imported inside functions: httpx takes a while to load.
"""

import ssl
import urllib.request
from collections.abc import Iterable

import httpcore
import httpx  # noqa: TID253  this package is itself imported inside functions only

from vis_assets.errors import InvalidJob, InvalidSetting
from vis_assets.llm.model import ModelAccess
from vis_assets.llm.transport.network import BoundedNetwork, call_ends_within

MAX_BODY_BYTES = 1_000_000
DEFAULT_TIMEOUT_SECONDS = 60.0
UNUSED_KEY = "sent-by-the-transport"
"""What the SDKs take for the key: they insist on one, and one that they do not know cannot leak from them."""
USER_AGENT = b"vis-assets"
UNTRUSTED_CERTIFICATE = "untrusted certificate"

_KEEPALIVE_SECONDS = 30.0
_KEPT_HEADERS = frozenset({b"content-type", b"retry-after", b"retry-after-ms"})


def open_client(access: ModelAccess, base_url: str, max_body_bytes: int = MAX_BODY_BYTES) -> httpx.Client:
    """Open an HTTP client for one model; the caller closes it. Several threads may use it at once.

    The timeout of a request bounds the whole call, except for the resolver's own patience where a name is resolved.

    Args:
        access: its key goes into every request; its address, where it has one, is what is connected to, while the Host
            header, the TLS server name and the certificate check stay those of the URL, and no proxy is used.
        base_url: where the server is, http or https.
        max_body_bytes: longest body that is read.

    Raises:
        InvalidJob: the URL is none, e.g. its host is an address with a number above 255.
        InvalidSetting: the proxy of the environment is of a kind that is not spoken here.
    """
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        raise InvalidJob("llm_config.config.base_url holds no valid host; write it like https://host/v1") from None
    network = BoundedNetwork(access.address)
    # A context reads all certificates of the system, which plain http has no use for: nothing here redirects to https.
    context = httpx.create_ssl_context() if url.scheme == "https" else None
    proxy = None if access.address is not None else _environment_proxy(url)
    pool = _open_pool(network, context, proxy)
    # trust_env would add cookies, proxies and passwords of files in the home folder.
    return httpx.Client(
        transport=BoundedTransport(pool, access.api_key, max_body_bytes),
        timeout=DEFAULT_TIMEOUT_SECONDS,
        follow_redirects=False,
        trust_env=False,
    )


def _open_pool(
    network: BoundedNetwork, context: ssl.SSLContext | None, proxy: httpx.Proxy | None
) -> httpcore.ConnectionPool:
    if proxy is None:
        return httpcore.ConnectionPool(
            ssl_context=context, max_connections=None, keepalive_expiry=_KEEPALIVE_SECONDS, network_backend=network
        )
    return httpcore.HTTPProxy(
        proxy_url=str(proxy.url),
        proxy_auth=proxy.raw_auth,
        ssl_context=context,
        max_connections=None,
        keepalive_expiry=_KEEPALIVE_SECONDS,
        network_backend=network,
    )


def _environment_proxy(url: httpx.URL) -> httpx.Proxy | None:
    if urllib.request.proxy_bypass(url.netloc.decode("ascii")):
        return None
    proxies = urllib.request.getproxies()
    address = proxies.get(url.scheme) or proxies.get("all")
    if not address:
        return None
    try:
        proxy = httpx.Proxy(address if "://" in address else f"http://{address}")
    except (ValueError, httpx.InvalidURL):
        proxy = None
    if proxy is None or proxy.url.scheme not in ("http", "https"):
        # Not echoed: it may hold a password.
        raise InvalidSetting(
            f"The proxy that the environment names for {url.scheme}:// ({url.scheme}_proxy or all_proxy) is no http or "
            "https URL; use such a proxy, or list the language model's host in no_proxy"
        )
    return proxy


class BoundedTransport(httpx.BaseTransport):
    """Sends one request and reads its whole answer within the request's timeout."""

    def __init__(self, pool: httpcore.ConnectionPool, api_key: str | None, max_body_bytes: int) -> None:
        """Take over the pool of connections."""
        self._pool = pool
        self._api_key = api_key
        self._max_body_bytes = max_body_bytes

    def __repr__(self) -> str:
        """Tell nothing of the key."""
        return f"{type(self).__name__}()"

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and read the answer to its end.

        Raises:
            httpx.TimeoutException: no complete answer in time.
            httpx.DecodingError: the body is too long, or packed although nothing packed was accepted.
            httpx.TransportError: no connection, or what came is no HTTP.
        """
        timeout = request.extensions.get("timeout", {}).get("read") or DEFAULT_TIMEOUT_SECONDS
        with call_ends_within(timeout):
            try:
                return self._exchange(request, timeout)
            except (
                httpcore.TimeoutException,
                httpcore.NetworkError,
                httpcore.ProtocolError,
                httpcore.ProxyError,
                httpcore.UnsupportedProtocol,
            ) as error:
                failure = _translate(error)
        # Outside of the handler: what the pool complains about may quote the server.
        raise failure

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def _exchange(self, request: httpx.Request, timeout: float) -> httpx.Response:
        sent = httpcore.Request(
            method=request.method,
            url=httpcore.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=self._headers(request),
            content=request.content,
            extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), timeout)},
        )
        reply = self._pool.handle_request(sent)
        try:
            return httpx.Response(reply.status, headers=_kept(reply.headers), content=self._read(reply))
        finally:
            reply.close()

    def _headers(self, request: httpx.Request) -> list[tuple[bytes, bytes]]:
        # None is taken over from the SDK: any of them may come from the environment.
        headers = [
            (b"Host", request.url.netloc),
            (b"User-Agent", USER_AGENT),
            (b"Accept", b"application/json"),
            (b"Accept-Encoding", b"identity"),
            (b"Content-Type", b"application/json"),
            (b"Content-Length", str(len(request.content)).encode()),
        ]
        if self._api_key:
            headers.append((b"Authorization", f"Bearer {self._api_key}".encode("ascii")))
        return headers

    def _read(self, reply: httpcore.Response) -> bytes:
        encodings = {value.strip().lower() for name, value in reply.headers if name.lower() == b"content-encoding"}
        if encodings - {b"", b"identity"}:
            raise httpx.DecodingError("the body is packed, which was not asked for")
        body = bytearray()
        for part in reply.iter_stream():
            body += part
            if len(body) > self._max_body_bytes:
                raise httpx.DecodingError(f"the body is longer than {self._max_body_bytes} bytes")
        return bytes(body)


def _kept(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    # No Set-Cookie, so that no call tells a server of another; no Location, so that nothing can follow it; no charset,
    # which may name any codec of Python, such as one that unpacks.
    return [(name, value.split(b";")[0]) for name, value in headers if name.lower() in _KEPT_HEADERS]


def _translate(error: Exception) -> httpx.TransportError:
    if isinstance(error, httpcore.TimeoutException):
        return httpx.ReadTimeout("no complete answer in time")
    if isinstance(error, httpcore.ConnectError):
        # The pool drops the cause on the way up, the context stays.
        is_untrusted = isinstance(error.__context__, ssl.SSLCertVerificationError)
        return httpx.ConnectError(UNTRUSTED_CERTIFICATE if is_untrusted else "no connection")
    if isinstance(error, httpcore.ProxyError):
        return httpx.ProxyError("the proxy refused")
    if isinstance(error, httpcore.NetworkError):
        return httpx.ReadError("the connection broke")
    return httpx.RemoteProtocolError("what came is no HTTP")
