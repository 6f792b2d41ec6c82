"""Connection URLs of jobs that try to reach what they must not."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vis_assets.errors import HostNotAllowed, InvalidJob, PermanentError, SourceRejected, SourceUnavailable
from vis_assets.sources.hosts import judge_host, judge_path
from vis_assets.sources.points import AccessPolicy

# They look names up, and reach no host.
pytestmark = pytest.mark.enable_socket

ANY = AccessPolicy()


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "localhost",
        "LOCALHOST.",
        "0.0.0.0",
        "0",
        "169.254.169.254",
        "2852039166",
        "100.100.100.200",
        "168.63.129.16",
        "255.255.255.255",
        "224.0.0.1",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::169.254.169.254]",
        "[2002:7f00:1::]",
        "[ff02::1]",
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https", "grpc", "grpcs"])
def test_internal_addresses_are_refused(scheme: str, host: str) -> None:
    """Loopback, link-local, metadata and other internal addresses are refused, however they are written."""
    with pytest.raises(HostNotAllowed, match="VIS_ASSETS_ALLOWED_HOSTS"):
        judge_host(f"{scheme}://{host}:6334", ANY, sends_secret=False)


@pytest.mark.parametrize("host", ["8.8.8.8", "10.0.0.7", "192.168.1.5", "[2606:4700::1111]", "[64:ff9b::8.8.8.8]"])
def test_other_addresses_are_allowed(host: str) -> None:
    """Public and private addresses are allowed without a list, and the judged address is the one to connect to."""
    endpoint = judge_host(f"http://{host}:6333/prefix/", ANY, sends_secret=False)
    assert endpoint.address is not None
    assert (endpoint.port, endpoint.path) == (6333, "/prefix")


def test_listed_hosts_are_allowed_and_no_others() -> None:
    """A list allows exactly its hosts, in any case and way to write IPv6, loopback included."""
    policy = AccessPolicy(allowed_hosts=frozenset({"Qdrant.internal", "[::1]", "127.0.0.1"}))
    for host in ("qdrant.INTERNAL", "qdrant.internal.", "[0:0:0:0:0:0:0:1]", "127.0.0.1"):
        assert judge_host(f"http://{host}:6333", policy, sends_secret=True).address is None
    for host in ("localhost", "qdrant.internal.evil.example", "127.0.0.2", "2130706433"):
        with pytest.raises(HostNotAllowed, match="not in VIS_ASSETS_ALLOWED_HOSTS"):
            judge_host(f"http://{host}:6333", policy, sends_secret=False)


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_key_in_clear_text_is_refused(scheme: str) -> None:
    """An API key over plain text needs a listed host; over TLS it does not."""
    with pytest.raises(HostNotAllowed, match="clear text"):
        judge_host(f"{scheme}://8.8.8.8:6333", ANY, sends_secret=True)
    assert judge_host(f"{scheme}s://8.8.8.8:6333", ANY, sends_secret=True).encrypted


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hunter2@8.8.8.8:6333",
        "http://hunter2@8.8.8.8",
        "http://8.8.8.8?api_key=hunter2",
        "http://8.8.8.8#hunter2",
        "http://8.8.8.8:6333\\@hunter2",
        "http://8.8.8.8 hunter2",
        "http://8.8.8.8\n.hunter2",
        "http://hunter\uff12/",
        "http://[hunter2]/",
        "http://8.8.8.8:hunter2",
        "file://hunter2@localhost/x",
    ],
)
def test_secrets_in_urls_are_refused_and_not_echoed(url: str) -> None:
    """A URL with user, query, fragment or odd characters is refused, and its text stays out of the message."""
    with pytest.raises(InvalidJob, match=r"vector_database_config\.connection_url") as caught:
        judge_host(url, ANY, sends_secret=False)
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["", "qdrant:6333", "//host", "ftp://host", "http://", "http://:6333", "http://h:0", "http://h:70000", "x"]
)
def test_malformed_urls_are_invalid_jobs(url: str) -> None:
    """What is no URL of a known scheme is an invalid job."""
    with pytest.raises(InvalidJob, match=r"vector_database_config\.connection_url"):
        judge_host(url, ANY, sends_secret=False)


@given(
    st.one_of(
        st.text(),
        st.builds("{}://{}".format, st.sampled_from(["http", "grpcs", "file", "HTTP"]), st.text()),
        st.builds("http://{}:{}/{}".format, st.text("[]:.1af%@"), st.text("0123456789-"), st.text()),
    )
)
def test_any_text_is_refused_in_our_words(url: str) -> None:
    """Whatever a job writes as URL, only our own errors come of it."""
    with pytest.raises((InvalidJob, HostNotAllowed)):
        judge_host(url, AccessPolicy(allowed_hosts=frozenset()), sends_secret=True)
    with pytest.raises((InvalidJob, HostNotAllowed)):
        judge_path(url, ANY)


def test_unresolvable_name_is_transient() -> None:
    """A name without address may have one later."""
    with pytest.raises(SourceUnavailable, match="cannot be resolved"):
        judge_host("http://no-such-host.invalid:6333", ANY, sends_secret=False)


def test_no_local_path_without_a_root(tmp_path: Path) -> None:
    """Without a root there are no local sources."""
    with pytest.raises(HostNotAllowed, match="VIS_ASSETS_LOCAL_ROOT"):
        judge_path(tmp_path.as_uri(), ANY)


@pytest.mark.parametrize("path", ["../secret", "inside/../../secret", "%2e%2e/secret", "link", "link/secret"])
def test_paths_cannot_leave_the_root(tmp_path: Path, path: str) -> None:
    """Neither dots nor symbolic links lead out of the root, and existence outside is not told."""
    root = tmp_path / "root"
    (root / "inside").mkdir(parents=True)
    (root / "link").symlink_to(tmp_path)
    (tmp_path / "secret").touch()
    with pytest.raises(HostNotAllowed, match="does not lie under"):
        judge_path(f"{root.as_uri()}/{path}", AccessPolicy(local_root=root))
    with pytest.raises(HostNotAllowed, match="does not lie under"):
        judge_path(f"{root.as_uri()}/../absent", AccessPolicy(local_root=root))


def test_paths_inside_the_root(tmp_path: Path) -> None:
    """A path inside is allowed, also through a link inside, with spaces, and if the root itself is a link."""
    (tmp_path / "real root" / "data x").mkdir(parents=True)
    (tmp_path / "real root" / "alias").symlink_to(tmp_path / "real root" / "data x")
    (tmp_path / "root").symlink_to(tmp_path / "real root")
    policy = AccessPolicy(local_root=tmp_path / "root")
    assert judge_path(f"{tmp_path.as_uri()}/root/alias", policy) == (tmp_path / "real root" / "data x").resolve()
    with pytest.raises(SourceRejected, match="there is nothing at"):
        judge_path(f"{tmp_path.as_uri()}/root/absent", policy)


@pytest.mark.parametrize("url", ["file://otherhost/x", "http://host/x", "file:///x%00y", "/x"])
def test_other_urls_are_no_local_paths(tmp_path: Path, url: str) -> None:
    """Only file:/// URLs name local paths."""
    with pytest.raises(PermanentError, match=r"vector_database_config\.connection_url"):
        judge_path(url, AccessPolicy(local_root=tmp_path))
