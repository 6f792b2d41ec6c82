"""What a Qdrant that fails, refuses or is none means for a job; every error goes over a real wire."""

import base64
import datetime
import json
import ssl
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from qdrant_client import models

from vis_assets.errors import (
    CollectionMissing,
    SourceRejected,
    SourceUnavailable,
    Unauthorized,
    VectorUnusable,
    VisAssetsError,
)
from vis_assets.operations.embedded_qdrant import EmbeddedQdrant
from vis_assets.sources import qdrant_errors
from vis_assets.sources.hosts import Endpoint
from vis_assets.sources.points import AccessPolicy, SourceRequest
from vis_assets.sources.qdrant import check_connection
from vis_assets.sources.qdrant_connection import open_server
from vis_assets_tests.servers.qdrant_rest import Fault, RestQdrant
from vis_assets_tests.sources.conftest import LOOPBACK_ALLOWED, Place

pytestmark = pytest.mark.enable_socket

SECRET = "canary-0a1b2c3d"
TWO = models.VectorParams(size=2, distance=models.Distance.DOT)
ONE_POINT = [models.PointStruct(id=1, vector=[1.0, 2.0], payload={"text": "x"})]

GRPC_ERRORS: dict[grpc.StatusCode, type[VisAssetsError]] = {
    grpc.StatusCode.UNAVAILABLE: SourceUnavailable,
    grpc.StatusCode.RESOURCE_EXHAUSTED: SourceUnavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: SourceUnavailable,
    grpc.StatusCode.ABORTED: SourceUnavailable,
    grpc.StatusCode.CANCELLED: SourceUnavailable,
    grpc.StatusCode.INTERNAL: SourceUnavailable,
    grpc.StatusCode.UNKNOWN: SourceUnavailable,
    grpc.StatusCode.UNAUTHENTICATED: Unauthorized,
    grpc.StatusCode.PERMISSION_DENIED: Unauthorized,
    grpc.StatusCode.NOT_FOUND: CollectionMissing,
    grpc.StatusCode.INVALID_ARGUMENT: SourceRejected,
    grpc.StatusCode.FAILED_PRECONDITION: SourceRejected,
    grpc.StatusCode.OUT_OF_RANGE: SourceRejected,
    grpc.StatusCode.ALREADY_EXISTS: SourceRejected,
    grpc.StatusCode.UNIMPLEMENTED: SourceRejected,
    grpc.StatusCode.DATA_LOSS: SourceRejected,
}
HTTP_ERRORS: dict[int, type[VisAssetsError]] = {
    400: SourceRejected,
    401: Unauthorized,
    403: Unauthorized,
    404: CollectionMissing,
    408: SourceUnavailable,
    409: SourceRejected,
    413: SourceRejected,
    422: SourceRejected,
    425: SourceUnavailable,
    429: SourceUnavailable,
    301: SourceRejected,
    500: SourceUnavailable,
    502: SourceUnavailable,
    503: SourceUnavailable,
    504: SourceUnavailable,
}


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qdrant_errors, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(qdrant_errors, "LONGEST_WAIT_SECONDS", 0.02)


@contextmanager
def server_that_aborts(code: grpc.StatusCode) -> Iterator[str]:
    """A gRPC server that answers every call with one status, and repeats the caller's key in it."""

    class Aborts(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, call_details: Any) -> Any:
            def abort(request: bytes, context: Any) -> bytes:
                context.set_trailing_metadata((("retry-after", "1"),))
                context.abort(code, f"about {dict(context.invocation_metadata()).get('api-key')}")
                return b""

            return grpc.unary_unary_rpc_method_handler(abort)

    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((Aborts(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"grpc://127.0.0.1:{port}"
    server.stop(None).wait()


def test_every_grpc_status_has_its_error() -> None:
    """No status that gRPC knows is missing from the table below."""
    assert set(GRPC_ERRORS) == set(grpc.StatusCode) - {grpc.StatusCode.OK}


@pytest.mark.parametrize("code", GRPC_ERRORS, ids=lambda code: code.name)
def test_grpc_statuses(code: grpc.StatusCode, tmp_path: Path) -> None:
    """Each gRPC status becomes its error, and the API key is nowhere in what is printed or chained."""
    with server_that_aborts(code) as url:
        place = Place(url, LOOPBACK_ALLOWED, lambda change: None, tmp_path, api_key=SECRET)
        with pytest.raises(VisAssetsError) as caught:
            place.fetch()
    assert type(caught.value) is GRPC_ERRORS[code]
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("status", HTTP_ERRORS)
def test_http_statuses(status: int, rest_place: tuple[Place, RestQdrant]) -> None:
    """Each HTTP status becomes its error, and the API key is nowhere in what is printed or chained."""
    place, server = rest_place
    place.api_key = SECRET
    server.faults.extend([Fault(status, body=f'{{"status": {{"error": "about {SECRET}"}}}}'.encode())] * 3)
    with pytest.raises(VisAssetsError) as caught:
        place.fetch()
    assert type(caught.value) is HTTP_ERRORS[status]
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    tries = len([path for _, path, _ in server.requests if path.startswith("/collections/")])
    assert tries == (3 if caught.value.retry else 1)


@pytest.mark.parametrize(
    "written",
    [
        lambda key: key,
        json.dumps,
        lambda key: json.dumps(key)[1:-1],
        lambda key: quote(key, safe=""),
        quote,
        quote_plus,
        lambda key: base64.b64encode(key.encode()).decode(),
        lambda key: base64.urlsafe_b64encode(key.encode()).decode(),
    ],
    ids=["plain", "JSON", "inner JSON", "quote all", "quote", "quote_plus", "base64", "base64url"],
)
@pytest.mark.parametrize("key", ["canary/0a+1b?2c&3d>4e", 'canary "0a" \\ 1b', "canary??>>~~0a"])
def test_a_key_is_hidden_however_it_is_written(
    key: str, written: Callable[[str], str], rest_place: tuple[Place, RestQdrant]
) -> None:
    """A server may repeat the API key as it is, or as JSON, a URL or a token has it; none of these is passed on."""
    place, server = rest_place
    place.api_key = key
    server.faults.append(Fault(400, body=f"<html>no: {written(key)} is none".encode()))
    with pytest.raises(SourceRejected, match=r"\*\*\*") as caught:
        place.fetch()
    assert written(key).strip('"=') not in str(caught.value)


@pytest.mark.parametrize("before", [265, 285, 299])
def test_half_of_a_key_is_not_passed_on(before: int, rest_place: tuple[Place, RestQdrant]) -> None:
    """A key that stands where a long answer is cut off is hidden before it is cut."""
    place, server = rest_place
    place.api_key = "K" * 40
    server.faults.append(Fault(403, body=b"y" * before + b"K" * 40))
    with pytest.raises(Unauthorized) as caught:
        place.fetch()
    assert "KK" not in str(caught.value)


@pytest.mark.parametrize(
    "key", [f"{SECRET}\n", f" {SECRET}", f"{SECRET}\t", f"{SECRET}\x00", f"{SECRET}é", f"{SECRET}€"]
)
@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_key_that_no_request_can_carry(scheme: str, key: str, tmp_path: Path) -> None:
    """A key with a line break, as files have one, is refused for good, without being quoted or sent."""
    place = Place(f"{scheme}://127.0.0.1:1", LOOPBACK_ALLOWED, lambda change: None, tmp_path, api_key=key)
    with pytest.raises(Unauthorized, match="line break") as caught:
        place.fetch()
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("fault", [Fault(503), Fault(429, {"Retry-After": "1"}), Fault(429, {"Retry-After": "soon"})])
def test_two_failures_in_a_row_do_not_matter(fault: Fault, rest_place: tuple[Place, RestQdrant]) -> None:
    """A request that fails twice for a passing reason is repeated, and the fetch succeeds."""
    place, server = rest_place
    place.create(TWO, ONE_POINT)
    server.faults.extend([fault, fault])
    assert place.fetch().count == 1


@pytest.mark.parametrize(
    "body", [b"<html>welcome</html>", b"[]", b'{"result": {"points": 7}}', b'{"result": null}', b"\xff\xfe", b""]
)
def test_answers_that_are_none(body: bytes, rest_place: tuple[Place, RestQdrant]) -> None:
    """A server that answers something else than Qdrant would is a permanent error."""
    place, server = rest_place
    server.faults.append(Fault(200, body=body))
    with pytest.raises(SourceRejected):
        place.fetch()


def test_scroll_that_never_moves_on(rest_place: tuple[Place, RestQdrant]) -> None:
    """A server that sends one page for ever is a permanent error."""
    place, server = rest_place
    place.create(TWO, ONE_POINT)
    page = Fault(200, body=b'{"result": {"points": [{"id": 1, "vector": [1.0, 2.0]}], "next_page_offset": 1}}')

    def repeat(fetched: int, expected: int) -> None:
        server.faults.append(page)

    server.faults.extend([Fault(503)])
    collection = place.collection
    info = server.client.get_collection(collection).model_dump_json()
    server.faults.extend(
        [Fault(200, body=f'{{"result": {info}}}'.encode()), Fault(200, body=b'{"result": {"count": 1}}'), page]
    )
    with pytest.raises(SourceRejected, match="the same page again and again"):
        place.fetch(on_progress=repeat)


def test_absurd_dimension(rest_place: tuple[Place, RestQdrant]) -> None:
    """A server that claims vectors of a size that no Qdrant has is refused before memory is taken."""
    place, server = rest_place
    place.create(TWO, ONE_POINT)
    info = server.client.get_collection(place.collection)
    info.config.params.vectors = models.VectorParams(size=10**12, distance=models.Distance.DOT)
    server.faults.append(Fault(200, body=f'{{"result": {info.model_dump_json()}}}'.encode()))
    with pytest.raises(VectorUnusable, match="a vector 1 to 65,536"):
        place.fetch()


def test_vector_of_another_dimension(rest_place: tuple[Place, RestQdrant]) -> None:
    """A point whose vector is not as long as the collection says is named."""
    place, server = rest_place
    place.create(TWO, ONE_POINT)
    info = server.client.get_collection(place.collection)
    info.config.params.vectors = models.VectorParams(size=3, distance=models.Distance.DOT)
    server.faults.append(Fault(200, body=f'{{"result": {info.model_dump_json()}}}'.encode()))
    with pytest.raises(VectorUnusable, match=r"point 1 .* says 3 numbers"):
        place.fetch()


def test_wrong_key_over_rest(tmp_path: Path) -> None:
    """A refused or absent key is told apart, and the right one passes."""
    with RestQdrant(api_key="right") as server:
        place = Place(server.url, LOOPBACK_ALLOWED, lambda change: change(server.client), tmp_path)
        place.create(TWO, ONE_POINT)
        with pytest.raises(Unauthorized, match="wants an API key and the job has none"):
            place.fetch()
        with pytest.raises(Unauthorized, match="refuses the API key"):
            place.fetch(api_key="wrong")
        assert place.fetch(api_key="right").count == 1


def test_wrong_key_over_grpc(tmp_path: Path) -> None:
    """A refused or absent key is told apart, and the right one passes."""
    with EmbeddedQdrant(api_key="right") as server:
        place = Place(server.url, LOOPBACK_ALLOWED, lambda change: change(server.client), tmp_path)
        place.create(TWO, ONE_POINT)
        with pytest.raises(Unauthorized, match="wants an API key and the job has none"):
            place.fetch()
        with pytest.raises(Unauthorized, match="refuses the API key"):
            place.fetch(api_key="wrong")
        assert place.fetch(api_key="right").count == 1


@pytest.mark.parametrize("scheme", ["http", "grpc", "https", "grpcs"])
def test_nobody_listens(scheme: str, tmp_path: Path) -> None:
    """A refused connection is transient."""
    place = Place(f"{scheme}://127.0.0.1:1", LOOPBACK_ALLOWED, lambda change: None, tmp_path)
    with pytest.raises(SourceUnavailable, match=r"127\.0\.0\.1:1 "):
        place.fetch()


def test_rest_to_the_grpc_port(tmp_path: Path) -> None:
    """REST to a gRPC port is a permanent error that names the ports."""
    with EmbeddedQdrant() as server:
        place = Place(f"http://127.0.0.1:{server.port}", LOOPBACK_ALLOWED, lambda change: None, tmp_path)
        with pytest.raises(SourceRejected, match="REST on port 6333 and gRPC on port 6334"):
            place.fetch()


def test_grpc_to_the_rest_port(rest_place: tuple[Place, RestQdrant]) -> None:
    """GRPC to a REST port is a permanent error that names the ports."""
    place, server = rest_place
    place.url = f"grpc://127.0.0.1:{server.port}"
    with pytest.raises(SourceRejected, match="REST on port 6333 and gRPC on port 6334"):
        place.fetch()


@pytest.mark.parametrize("scheme", ["https", "grpcs"])
def test_tls_to_plain_text(scheme: str, tmp_path: Path) -> None:
    """TLS to a server without is a permanent error that says so."""
    with EmbeddedQdrant() as server:
        place = Place(f"{scheme}://127.0.0.1:{server.port}", LOOPBACK_ALLOWED, lambda change: None, tmp_path)
        with pytest.raises(SourceRejected, match="may not use TLS"):
            place.fetch()


@pytest.fixture(scope="module")
def certificate() -> tuple[bytes, bytes]:
    """Private key and self-signed certificate for qdrant.example and 127.0.0.1, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "qdrant.example")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("qdrant.example")])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem, signed.public_bytes(serialization.Encoding.PEM)


def test_untrusted_certificate(certificate: tuple[bytes, bytes], tmp_path: Path) -> None:
    """A certificate that nobody trusted signed is a permanent error."""
    with EmbeddedQdrant(tls=certificate) as server:
        place = Place(server.url, LOOPBACK_ALLOWED, lambda change: None, tmp_path)
        with pytest.raises(SourceRejected, match="certificate is not trusted"):
            place.fetch()


def test_tls_keeps_the_name_of_a_judged_address(
    certificate: tuple[bytes, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection goes to the judged address, and the certificate is checked against the name."""
    authority = tmp_path / "authority.pem"
    authority.write_bytes(certificate[1])
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with EmbeddedQdrant(tls=certificate) as server:
        right = Endpoint("grpcs", "qdrant.example", server.port, "", "127.0.0.1")
        wrong = Endpoint("grpcs", "other.example", server.port, "", "127.0.0.1")
        request = SourceRequest("qdrant", server.url, "c")
        connection = open_server(right, request)
        assert qdrant_errors.call(connection.target, connection.client.get_collections).collections == []
        connection.client.close()
        connection = open_server(wrong, request)
        with pytest.raises(SourceRejected, match="certificate is not trusted"):
            qdrant_errors.call(connection.target, connection.client.get_collections)
        connection.client.close()


def test_https_keeps_the_name_of_a_judged_address(
    certificate: tuple[bytes, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection goes to the judged address, and the certificate is checked against the name."""
    (tmp_path / "both.pem").write_bytes(certificate[0] + certificate[1])
    (tmp_path / "authority.pem").write_bytes(certificate[1])
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    with RestQdrant(tls=context) as server:
        request = SourceRequest("qdrant", server.url, "c")
        connection = open_server(Endpoint("https", "qdrant.example", server.port, "", "127.0.0.1"), request)
        assert qdrant_errors.call(connection.target, connection.client.get_collections).collections == []
        connection.client.close()
        connection = open_server(Endpoint("https", "other.example", server.port, "", "127.0.0.1"), request)
        with pytest.raises(SourceRejected, match="certificate is not trusted"):
            qdrant_errors.call(connection.target, connection.client.get_collections)
        connection.client.close()


def test_rest_keeps_the_name_of_a_judged_address(rest_place: tuple[Place, RestQdrant]) -> None:
    """The connection goes to the judged address, and the Host header holds the name."""
    _, server = rest_place
    endpoint = Endpoint("http", "qdrant.example", server.port, "", "127.0.0.1")
    connection = open_server(endpoint, SourceRequest("qdrant", server.url, "c"))
    assert qdrant_errors.call(connection.target, connection.client.get_collections).collections == []
    connection.client.close()
    assert server.requests[-1][2]["Host"] == f"qdrant.example:{server.port}"


def test_check_connection(rest_place: tuple[Place, RestQdrant], grpc_place: Place) -> None:
    """The doctor's line names the server, its version and the number of collections."""
    place, _ = rest_place
    place.create(TWO, ONE_POINT)
    for checked, count in ((place, 1), (grpc_place, 0)):
        line = check_connection(SourceRequest("qdrant", checked.url, ""), LOOPBACK_ALLOWED)
        assert line.startswith("Qdrant at 127.0.0.1:")
        assert line.endswith(f"{count} collections")


def test_check_connection_obeys_the_policy() -> None:
    """The doctor reaches no host that jobs may not reach."""
    with pytest.raises(VisAssetsError, match="VIS_ASSETS_ALLOWED_HOSTS"):
        check_connection(SourceRequest("qdrant", "http://127.0.0.1:6333", ""), AccessPolicy())
