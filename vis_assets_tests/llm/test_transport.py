"""The HTTP client under every provider, against servers that say exactly what a test wants."""

import gzip
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpcore
import httpx
import pytest

from vis_assets.errors import InvalidSetting
from vis_assets.llm import ModelAccess
from vis_assets.llm.transport import MAX_BODY_BYTES, BoundedTransport, open_client
from vis_assets_tests.llm.wire import KEY, Script, always, hear, say

pytestmark = [pytest.mark.enable_socket]

NAME = "models.example"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for `NAME`, with its key, in one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "models.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + private)
    return path


@contextmanager
def client_of(
    base_url: str, address: str | None = None, max_body_bytes: int = MAX_BODY_BYTES
) -> Iterator[httpx.Client]:
    with open_client(ModelAccess("vllm", "m", KEY, base_url, address), base_url, max_body_bytes) as client:
        yield client


def is_error(kind: object) -> bool:
    # The pool itself handles the exception left out.
    return isinstance(kind, type) and issubclass(kind, Exception) and kind is not httpcore.ConnectionNotAvailable


def fetch(base_url: str, address: str | None = None, timeout_seconds: float = 5) -> httpx.Response:
    with client_of(base_url, address) as client:
        return client.post(f"{base_url}/path", json={"a": 1}, timeout=timeout_seconds)


def head_of(server: Script) -> str:
    return server.heads[-1].decode().lower()


def test_a_request_holds_nothing_but_what_was_asked_for():
    """Headers and cookies that a caller adds are replaced by those of the transport, which knows the key."""
    with Script(always(say(b"{}"))) as server, client_of(server.url) as client:
        client.post(
            f"{server.url}/path",
            json={"a": 1},
            headers={"X-Secret": "x", "Authorization": "Bearer other", "User-Agent": "x", "Host": "elsewhere"},
            cookies={"session": "x"},
        )
    lines = head_of(server).split("\r\n")
    assert lines[0] == "post /path http/1.1"
    assert sorted(line.partition(":")[0] for line in lines[1:]) == [
        "accept",
        "accept-encoding",
        "authorization",
        "content-length",
        "content-type",
        "host",
        "user-agent",
    ]
    assert f"authorization: bearer {KEY}" in lines
    assert f"host: 127.0.0.1:{server.port}" in lines


def test_the_password_of_an_address_is_not_sent():
    """User and password in a URL do not become a header."""
    with Script(always(say(b"{}"))) as server:
        fetch(server.url.replace("//", "//user:password@"))
    assert "basic" not in head_of(server)


def test_a_judged_address_is_connected_to_while_the_name_stays():
    """The connection goes to the address, the Host header names the URL's host, and no resolver is asked."""
    with Script(always(say(b"{}"))) as server:
        assert fetch(f"http://{NAME}:{server.port}", "127.0.0.1").status_code == 200
    assert f"host: {NAME}:{server.port}\r\n" in head_of(server)


def test_a_judged_address_may_be_of_ipv6():
    """An IPv6 address is connected to as it is."""
    try:
        server = Script(always(say(b"{}")), host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    with server:
        assert fetch(f"http://{NAME}:{server.port}", "::1").status_code == 200


def test_the_certificate_is_that_of_the_name_and_not_of_the_address(certificate: Path, monkeypatch: pytest.MonkeyPatch):
    """TLS asks for the URL's host and checks its certificate, although the connection goes to the judged address."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _, name, __: asked.append(name)
    with Script(always(say(b"{}")), tls=context) as server:
        assert fetch(f"https://{NAME}:{server.port}", "127.0.0.1").status_code == 200
        with pytest.raises(httpx.ConnectError, match="untrusted certificate"):
            fetch(f"https://other.example:{server.port}", "127.0.0.1")
    assert asked == [NAME, "other.example"]


def test_a_stranger_s_certificate_is_not_trusted(certificate: Path):
    """A certificate that no authority of this machine signed ends the call before anything is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Script(always(say(b"{}")), tls=context) as server:
        with pytest.raises(httpx.ConnectError, match="untrusted certificate"):
            fetch(f"https://{NAME}:{server.port}", "127.0.0.1")
        assert server.heads == []


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent"])
def test_no_redirect_is_followed(status: str):
    """A redirect is an answer like any other, and where it leads is not even kept."""
    with Script(always(say(b"{}"))) as other:
        answer = say(b"", status=status, extra=f"Location: {other.url}/secret\r\nSet-Cookie: a=b\r\n")
        with Script(always(answer)) as server, client_of(server.url) as client:
            response = client.post(f"{server.url}/path", json={}, follow_redirects=True)
            assert not client.cookies
        assert other.heads == []
    assert response.status_code == int(status[:3])
    assert "location" not in response.headers


def drip_from(start: bytes, dripped: bytes):
    def speak(stream: socket.socket, stopping: threading.Event) -> None:
        stream.sendall(start)
        while not stopping.wait(0.02):
            stream.sendall(dripped)

    return speak


@pytest.mark.parametrize(
    "speak",
    [
        drip_from(b"", b"H"),
        drip_from(b"HTTP/1.1 200 OK\r\nX-Endless: ", b"x"),
        drip_from(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        drip_from(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" "),
        drip_from(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        drip_from(b"HTTP/1.1 200 OK\r\n\r\n", b" "),
        lambda _, stopping: stopping.wait(5),
    ],
    ids=["status", "header", "informational", "body", "chunks", "until the end", "silence"],
)
def test_one_deadline_holds_from_connecting_to_the_last_byte(speak):
    """A byte now and then, wherever it comes, buys a server no time."""
    with Script(speak) as server, pytest.raises(httpx.TimeoutException):
        fetch(server.url, timeout_seconds=0.25)


def test_a_server_that_does_not_read_holds_nobody():
    """A question that nobody takes ends by the deadline, too."""
    with socket.create_server(("127.0.0.1", 0)) as listener, client_of("http://127.0.0.1") as client:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(httpx.TimeoutException):
            client.post(url, json={"a": "x" * 20_000_000}, timeout=0.3)


def test_a_handshake_that_never_ends_holds_nobody(certificate: Path):
    """A server that accepts and says nothing of TLS ends by the deadline."""
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(httpx.TimeoutException):
        fetch(f"https://{NAME}:{listener.getsockname()[1]}", "127.0.0.1", timeout_seconds=0.3)


def test_the_deadline_of_a_call_is_not_that_of_the_next():
    """A connection that a call leaves behind serves a later call in that call's own time."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    heard: list[bytes] = []

    def speak(stream: socket.socket, stopping: threading.Event) -> None:
        stream.sendall(answer)
        heard.append(hear(stream)[0])
        stopping.wait(0.7)
        stream.sendall(answer)

    with Script(speak) as server, client_of(server.url) as client:
        client.post(server.url, json={}, timeout=0.6)
        assert client.post(server.url, json={}, timeout=5).status_code == 200
    assert heard, "the second request came over the first one's connection"


@pytest.mark.parametrize("is_told", [True, False])
def test_a_body_ends_at_its_longest(is_told: bool):
    """A longer body is not read to its end, whether its length is told before or not."""
    size = 200_000_000 if is_told else None
    head = f"HTTP/1.1 200 OK\r\n{f'Content-Length: {size}' if size else 'Connection: close'}\r\n\r\n"
    sent: list[int] = []

    def speak(stream: socket.socket, stopping: threading.Event) -> None:
        stream.sendall(head.encode())
        while not stopping.is_set() and sum(sent) < 200_000_000:
            sent.append(stream.send(b" " * 65_536))

    with Script(speak) as server, pytest.raises(httpx.DecodingError, match="longer"):
        fetch(server.url)
    assert sum(sent) < 100_000_000


def test_a_body_of_just_that_length_is_read():
    """The longest body is still good."""
    with Script(always(say(b"x" * 1000))) as server, client_of(server.url, max_body_bytes=1000) as client:
        assert len(client.post(server.url, json={}).content) == 1000


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "identity, gzip"])
def test_nothing_packed_is_unpacked(encoding: str):
    """A small body cannot become a large one here: what is packed is refused, whatever was asked for."""
    packed = gzip.compress(b" " * 10_000_000)
    answer = say(packed, extra=f"Content-Encoding: {encoding}\r\n")
    with Script(always(answer)) as server, pytest.raises(httpx.DecodingError, match="packed"):
        fetch(server.url)
    assert "accept-encoding: identity\r\n" in head_of(server) + "\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 200_000,
    ],
)
def test_what_is_no_http_is_an_error_of_the_connection(answer: bytes):
    """Nonsense, an early end and endless headers are all errors of httpx, which quote nothing of them."""
    with Script(always(answer)) as server, pytest.raises(httpx.TransportError) as caught:
        fetch(server.url)
    assert "nonsense" not in str(caught.value)


@pytest.mark.parametrize("kind", [kind for kind in vars(httpcore).values() if is_error(kind)])
def test_every_error_of_the_connections_is_translated(kind: type[Exception]):
    """Whatever httpcore raises becomes an error of httpx, which the SDKs know."""

    class Broken(httpcore.ConnectionPool):
        def handle_request(self, request: httpcore.Request) -> httpcore.Response:
            raise kind("what a server says")

    transport = BoundedTransport(Broken(), KEY, MAX_BODY_BYTES)
    with pytest.raises(httpx.TransportError) as caught:
        transport.handle_request(httpx.Request("POST", "http://127.0.0.1/", json={}))
    assert "server says" not in str(caught.value)
    assert caught.value.__context__ is None
    assert isinstance(caught.value, httpx.TimeoutException) == issubclass(kind, httpcore.TimeoutException)


def test_nobody_listens():
    """A refused connection and an unknown name are errors of connecting."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}", "http://name.invalid", f"http://{'a' * 64}.example"):
        with pytest.raises(httpx.ConnectError, match="no connection"):
            fetch(url)


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_the_proxy_of_the_environment_is_used(variable: str, monkeypatch: pytest.MonkeyPatch):
    """Where the client resolves, a corporate proxy is asked, with its password and without showing it elsewhere."""
    with Script(always(say(b"{}"))) as proxy:
        monkeypatch.setenv(variable, f"http://user:password@127.0.0.1:{proxy.port}")
        assert fetch(f"http://{NAME}").status_code == 200
    assert head_of(proxy).startswith(f"post http://{NAME}/path http/1.1\r\n")
    assert "proxy-authorization: basic dxnlcjpwyxnzd29yza==" in head_of(proxy)


def test_the_certificate_is_checked_through_a_proxy(certificate: Path, monkeypatch: pytest.MonkeyPatch):
    """A proxy that tunnels sees neither key nor question, and cannot answer in the server's place."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    inner: list[bytes] = []

    def speak(stream: socket.socket, _: threading.Event) -> None:
        stream.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        with context.wrap_socket(stream, server_side=True) as tunnel:
            inner.append(hear(tunnel)[0])
            tunnel.sendall(say(b"{}"))

    with Script(speak) as proxy:
        monkeypatch.setenv("https_proxy", f"127.0.0.1:{proxy.port}")
        with pytest.raises(httpx.ConnectError, match="untrusted certificate"):
            fetch(f"https://{NAME}")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert fetch(f"https://{NAME}").status_code == 200
    assert head_of(proxy).startswith(f"connect {NAME}:443 http/1.1\r\n")
    assert KEY not in str(proxy.heads)
    assert KEY in inner[-1].decode()


def test_a_proxy_that_refuses_is_told_apart(monkeypatch: pytest.MonkeyPatch):
    """A refused tunnel is the proxy's doing, and what it says is not passed on."""
    with Script(always(say(b"", status="407 secret words"))) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(httpx.ProxyError) as caught:
            fetch(f"https://{NAME}")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("is_judged", [True, False])
def test_a_judged_address_and_an_exempt_host_use_no_proxy(is_judged: bool, monkeypatch: pytest.MonkeyPatch):
    """A proxy would resolve the name a second time, so it is not asked about a judged address."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Script(always(say(b"{}"))) as server:
        url = f"http://{NAME}:{server.port}" if is_judged else server.url
        assert fetch(url, "127.0.0.1" if is_judged else None).status_code == 200


@pytest.mark.parametrize("proxy", ["socks5://user:password@127.0.0.1:1080", "ftp://127.0.0.1"])
def test_an_unknown_kind_of_proxy_is_a_setting_s_error(proxy: str, monkeypatch: pytest.MonkeyPatch):
    """A proxy that is not spoken is said so, instead of being passed by, and its password is not told."""
    monkeypatch.setenv("all_proxy", proxy)
    with pytest.raises(InvalidSetting, match="all_proxy") as caught:
        fetch("http://models.example")
    assert "password" not in str(caught.value)


def test_the_key_is_in_no_repr():
    """Neither the client nor its parts show the key."""
    with client_of("http://127.0.0.1") as client:
        assert KEY not in repr(client) + repr(vars(client))
