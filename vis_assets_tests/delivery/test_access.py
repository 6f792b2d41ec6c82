"""Every way into a NATS server that asks who we are, on real servers: what is right gets in, what is wrong is told."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nkeys
import pytest
from nats.aio.client import Client

from vis_assets.delivery.access import NatsAccess
from vis_assets.delivery.connection import NatsConnection, arriving, publish_stored
from vis_assets.delivery.job_stream import ensure_stream
from vis_assets.errors import BrokerUnavailable, InvalidSetting
from vis_assets.operations.doctor import examine
from vis_assets.operations.job_client import JobClient
from vis_assets.settings import Settings, load_settings
from vis_assets_tests.servers.secured_nats import Authority, Key, Operator, credentials_file, secured_nats

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(60)]

PASSWORD = "CANARY p@ss/w:rd,%"
QUOTED = "CANARY%20p%40ss%2Fw%3Ard%2C%25"


@dataclass(frozen=True)
class Doors:
    """A server, and the settings that open it or do not."""

    right: dict[str, str]
    wrong: dict[str, str]
    at_fault: str


def _password(folder: Path, servers: "Servers") -> Doors:
    at = servers.run(folder, f'authorization {{ user: vis, password: "{PASSWORD}" }}')
    right, wrong = f"nats://vis:{QUOTED}@{at}", f"nats://vis:CANARY@{at}"
    return Doors({"NATS_URL": right}, {"NATS_URL": wrong}, "NATS_URL")


def _token(folder: Path, servers: "Servers") -> Doors:
    at = servers.run(folder, 'authorization { token: "CANARY-token" }')
    url = {"NATS_URL": f"nats://{at}"}
    return Doors({**url, "NATS_TOKEN": "CANARY-token"}, {**url, "NATS_TOKEN": "CANARY"}, "NATS_TOKEN")


def _token_in_url(folder: Path, servers: "Servers") -> Doors:
    at = servers.run(folder, 'authorization { token: "CANARY/token" }')
    return Doors({"NATS_URL": f"nats://CANARY%2Ftoken@{at}"}, {"NATS_URL": f"nats://CANARY@{at}"}, "NATS_URL")


def _nkey(folder: Path, servers: "Servers") -> Doors:
    ours, other = Key.make(), Key.make()
    at = servers.run(folder, f"authorization {{ users: [ {{ nkey: {ours.public} }} ] }}")
    right, wrong = write(folder / "right.nk", ours.seed + "\n"), write(folder / "wrong.nk", other.seed)
    url = {"NATS_URL": f"nats://{at}"}
    return Doors(
        {**url, "NATS_NKEY_SEED_FILE": right}, {**url, "NATS_NKEY_SEED_FILE": wrong}, f"NATS_NKEY_SEED_FILE={wrong}"
    )


def _creds(folder: Path, servers: "Servers") -> Doors:
    ours = Operator.make()
    at = servers.run(folder, ours.configuration())
    right = write(folder / "right.creds", ours.credentials().replace("\n", "\r\n"))
    wrong = write(folder / "wrong.creds", Operator.make().credentials())
    url = {"NATS_URL": f"nats://{at}"}
    return Doors({**url, "NATS_CREDS_FILE": right}, {**url, "NATS_CREDS_FILE": wrong}, f"NATS_CREDS_FILE={wrong}")


def _tls(folder: Path, servers: "Servers") -> Doors:
    ours = Authority.make(folder / "ours")
    other = Authority.make(folder / "other")
    url = {"NATS_URL": f"tls://{servers.run(folder, ours.configuration(verify=False))}"}
    return Doors(
        {**url, "NATS_TLS_CA_FILE": str(ours.file)}, {**url, "NATS_TLS_CA_FILE": str(other.file)}, "NATS_TLS_CA_FILE"
    )


def _client_certificate(folder: Path, servers: "Servers") -> Doors:
    ours = Authority.make(folder / "ours")
    at = servers.run(folder, ours.configuration(verify=True))
    server = {"NATS_URL": f"nats://{at}", "NATS_TLS_CA_FILE": str(ours.file)}
    right, wrong = ours.issue("client"), Authority.make(folder / "other").issue("client")
    return Doors(
        {**server, "NATS_TLS_CERT_FILE": str(right[0]), "NATS_TLS_KEY_FILE": str(right[1])},
        {**server, "NATS_TLS_CERT_FILE": str(wrong[0]), "NATS_TLS_KEY_FILE": str(wrong[1])},
        "NATS_TLS_CERT_FILE",
    )


WAYS = {
    "password": _password,
    "token": _token,
    "token in URL": _token_in_url,
    "nkey": _nkey,
    "creds": _creds,
    "TLS": _tls,
    "client certificate": _client_certificate,
}


class Servers:
    """Starts servers, and stops them together."""

    def __init__(self) -> None:
        self._running: list[object] = []

    def run(self, folder: Path, configuration: str) -> str:
        """Start one; return where it is."""
        server = secured_nats(folder, configuration)
        self._running.append(server)
        return server.__enter__()

    def stop(self) -> None:
        """Stop all."""
        for server in self._running:
            server.__exit__(None, None, None)  # type: ignore[attr-defined]


@pytest.fixture
def servers() -> Iterator[Servers]:
    """Servers that live as long as a test."""
    started = Servers()
    yield started
    started.stop()


@pytest.fixture(scope="module", params=WAYS)
def doors(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """A server for each way in."""
    started = Servers()
    yield WAYS[request.param](tmp_path_factory.mktemp("nats"), started)
    started.stop()


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for option in Settings.model_fields.values():
        monkeypatch.delenv(str(option.alias), raising=False)


def write(path: Path, text: str) -> str:
    path.write_bytes(text.encode())
    return str(path)


def access(**variables: str) -> NatsAccess:
    return NatsAccess.of(load_settings(variables))


def refusal(opened: NatsAccess | str) -> str:
    """Why a connection is not made; never with a secret."""
    with pytest.raises((BrokerUnavailable, InvalidSetting)) as caught:
        NatsConnection(opened, "test").open()
    assert "CANARY" not in str(caught.value)
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_what_is_right_gets_in(doors: Doors, caplog: pytest.LogCaptureFixture) -> None:
    """With the right settings JetStream answers, and nothing is logged."""
    with caplog.at_level(logging.INFO), NatsConnection(access(**doors.right), "test") as connection:
        assert connection.run(ensure_stream) > 0
    assert caplog.records == []


def test_what_is_wrong_is_told(doors: Doors) -> None:
    """With the wrong ones the refusal comes at once, names the setting to check and quotes no secret."""
    began = time.monotonic()
    with pytest.raises(BrokerUnavailable) as caught:
        NatsConnection(access(**doors.wrong), "test").open()
    assert time.monotonic() - began < 4
    assert doors.at_fault in str(caught.value)
    assert "CANARY" not in str(caught.value)


def test_without_credentials_the_ways_are_named(servers: Servers, tmp_path: Path) -> None:
    """A server that asks for credentials where none are set is told as such, with every setting that holds some."""
    at = servers.run(tmp_path, 'authorization { token: "t" }')
    message = refusal(f"nats://{at}")
    assert all(name in message for name in ("NATS_URL", "NATS_TOKEN", "NATS_NKEY_SEED_FILE", "NATS_CREDS_FILE"))


def test_without_a_client_certificate_the_settings_are_named(servers: Servers, tmp_path: Path) -> None:
    """A server that asks for our certificate where none is set is told as such."""
    ours = Authority.make(tmp_path / "ours")
    at = servers.run(tmp_path, ours.configuration(verify=True))
    assert "NATS_TLS_CERT_FILE" in refusal(access(NATS_URL=f"tls://{at}", NATS_TLS_CA_FILE=str(ours.file)))


def test_an_unknown_authority_is_refused_without_settings_too(servers: Servers, tmp_path: Path) -> None:
    """A server that demands TLS is checked against the system's authorities where no other is named."""
    at = servers.run(tmp_path, Authority.make(tmp_path / "ours").configuration(verify=False))
    assert "NATS_TLS_CA_FILE" in refusal(f"nats://{at}")


def test_a_certificate_for_another_name_is_refused(servers: Servers, tmp_path: Path) -> None:
    """A certificate of the right authority for another host does not count."""
    ours = Authority.make(tmp_path / "ours")
    port = servers.run(tmp_path, ours.configuration(verify=False)).rpartition(":")[2]
    message = refusal(access(NATS_URL=f"tls://localhost:{port}", NATS_TLS_CA_FILE=str(ours.file)))
    assert "'localhost'" in message


@pytest.mark.parametrize("variables", [{"NATS_URL": "tls://CANARY@{at}"}, {"NATS_URL": "nats://CANARY@{at}", "CA": ""}])
def test_tls_is_not_given_up(servers: Servers, tmp_path: Path, variables: dict[str, str]) -> None:
    """A server that offers no TLS gets neither credentials nor anything else where TLS is set."""
    at = servers.run(tmp_path, "trace: true")
    settings = {"NATS_URL": variables["NATS_URL"].format(at=at)}
    if "CA" in variables:
        settings["NATS_TLS_CA_FILE"] = str(Authority.make(tmp_path / "ours").file)
    assert "offers no TLS" in refusal(access(**settings))
    assert "CONNECT" not in (tmp_path / "nats.log").read_text()


def test_tls_that_is_offered_is_taken(servers: Servers, tmp_path: Path) -> None:
    """Where the server leaves the choice, TLS settings mean TLS."""
    ours = Authority.make(tmp_path / "ours")
    at = servers.run(tmp_path, ours.configuration(verify=False) + "\nallow_non_tls: true\ndebug: true")
    with NatsConnection(access(NATS_URL=f"nats://{at}", NATS_TLS_CA_FILE=str(ours.file)), "test"):
        assert "TLS handshake complete" in (tmp_path / "nats.log").read_text()


def test_credentials_that_expire_are_told(servers: Servers, tmp_path: Path) -> None:
    """When a user's JWT runs out, the connection ends, and the next call says why."""
    ours = Operator.make()
    at = servers.run(tmp_path, ours.configuration())
    file = write(tmp_path / "short.creds", ours.credentials(int(time.time()) + 2))
    with NatsConnection(access(NATS_URL=f"nats://{at}", NATS_CREDS_FILE=file), "test") as connection:
        time.sleep(3)
        with pytest.raises(BrokerUnavailable, match=r"refused us .*expired.* check NATS_CREDS_FILE="):
            connection.run(ensure_stream)


def test_credentials_that_are_withdrawn_are_told(tmp_path: Path) -> None:
    """When a server comes back and no longer knows us, the next calls say so, and closing still works."""
    with secured_nats(tmp_path, "authorization { user: vis, password: before }") as at:
        connection = NatsConnection(f"nats://vis:before@{at}", "test").open()

    async def send(client: Client) -> None:
        async with arriving(client):
            await client.publish("a.b", b"x")

    told = ""
    with secured_nats(tmp_path, "authorization { user: vis, password: after }", int(at.rpartition(":")[2])):
        deadline = time.monotonic() + 20
        while "refused us (Authorization Violation)" not in told and time.monotonic() < deadline:
            with pytest.raises(BrokerUnavailable) as caught:
                connection.run(send)
            told = str(caught.value)
        connection.close()
    assert "check the user and password" in told


def test_what_is_forbidden_is_told(servers: Servers, tmp_path: Path) -> None:
    """A subject that our user may not publish to, read from or ask JetStream about is an error that names it."""
    permissions = 'publish: { deny: ["a.b", "$JS.API.STREAM.INFO.>"] }, subscribe: { deny: ["c.>"] }'
    at = servers.run(
        tmp_path, f"authorization {{ users: [ {{ user: u, password: p, permissions: {{ {permissions} }} }} ] }}"
    )
    url = f"nats://u:p@{at}"
    with NatsConnection(url, "test") as connection:
        with pytest.raises(BrokerUnavailable, match=r"publish to \"a\.b\""):
            connection.run(lambda c: publish_stored(c, "a.b", b"x", "1"))
        with pytest.raises(BrokerUnavailable, match=r"publish to \"\$js\.api\.stream\.info"):
            connection.run(ensure_stream)
        connection.run(lambda c: publish_stored(c, "a.c", b"x", "2"))
    with pytest.raises(BrokerUnavailable, match=r"subscription to \"c\.d\""):
        next(JobClient(url, "c.d").watch(1))


@pytest.mark.parametrize("variable", ["NATS_NKEY_SEED_FILE", "NATS_CREDS_FILE", "NATS_TLS_CA_FILE"])
@pytest.mark.parametrize(
    "content", [None, "folder", "", "CANARY", b"\xff\x00CANARY", "-----BEGIN CERTIFICATE-----\nCANARY\n"]
)
def test_a_file_that_is_none_is_named(tmp_path: Path, variable: str, content: str | bytes | None) -> None:
    """A missing, unreadable, empty or foreign file is told by its variable, and nothing of its content is quoted."""
    path = tmp_path / "file"
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    message = refusal(access(**{"NATS_URL": "nats://127.0.0.1:1", variable: str(path)}))
    assert message.startswith(f"{variable}={path} ")


def _broken_creds() -> dict[str, str]:
    seed, jwt = Key.make().seed, "a.b.c"
    whole = credentials_file(jwt, seed)
    return {
        "no seed": whole.partition("****")[0],
        "no JWT": whole.partition("\n\n")[2],
        "cut off": whole[: whole.index(seed) + 20],
        "half a JWT": credentials_file("a.b", seed),
        "an account's seed": credentials_file(jwt, Key.make(nkeys.PREFIX_BYTE_ACCOUNT).seed),
        "a mistyped seed": credentials_file(jwt, seed[:10] + ("A" if seed[10] != "A" else "B") + seed[11:]),
    }


@pytest.mark.parametrize("name", list(_broken_creds()))
def test_broken_credentials_are_told(tmp_path: Path, name: str) -> None:
    """A credentials file that lacks a part, or has a wrong one, is refused before anything is sent."""
    file = write(tmp_path / "broken.creds", _broken_creds()[name])
    assert refusal(access(NATS_URL="nats://127.0.0.1:1", NATS_CREDS_FILE=file)).startswith(f"NATS_CREDS_FILE={file} ")


def test_a_key_that_does_not_fit_its_certificate_is_told(tmp_path: Path) -> None:
    """A foreign key, one behind a password and a missing one are told by their variables; no password is asked for."""
    authority = Authority.make(tmp_path / "ours")
    certificate, _ = authority.issue("one")
    foreign, sealed = authority.issue("two")[1], authority.issue("three", b"CANARY")
    for pair in ((certificate, foreign), sealed, (certificate, tmp_path / "missing")):
        files = {"NATS_TLS_CERT_FILE": str(pair[0]), "NATS_TLS_KEY_FILE": str(pair[1])}
        assert f"NATS_TLS_KEY_FILE={pair[1]}" in refusal(access(NATS_URL="nats://127.0.0.1:1", **files))


@pytest.mark.parametrize(
    "url", ["", "nats://", "nats://[::1", "http://h:1", "nats://h:0", "nats://h:x", "nats://u:CANARY/x@h:1", "ws://h:1"]
)
def test_a_malformed_url_is_a_setting_to_mend(url: str) -> None:
    """A URL that is none is a malformed setting, not a server that is away."""
    with pytest.raises(InvalidSetting, match="NATS_URL is malformed") as caught:
        NatsConnection(url, "test").open()
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"NATS_TOKEN": "CANARY", "NATS_CREDS_FILE": "c"}, ("NATS_TOKEN", "NATS_CREDS_FILE")),
        ({"NATS_NKEY_SEED_FILE": "s", "NATS_CREDS_FILE": "c"}, ("NATS_NKEY_SEED_FILE", "NATS_CREDS_FILE")),
        ({"NATS_TOKEN": "CANARY", "NATS_URL": "nats://u:CANARY@h"}, ("NATS_TOKEN", "NATS_URL")),
        ({"NATS_TLS_CERT_FILE": "c"}, ("NATS_TLS_CERT_FILE", "NATS_TLS_KEY_FILE")),
        ({"NATS_TLS_KEY_FILE": "k"}, ("NATS_TLS_CERT_FILE", "NATS_TLS_KEY_FILE")),
    ],
)
def test_settings_that_contradict_each_other_are_named(variables: dict[str, str], named: tuple[str, ...]) -> None:
    """Two kinds of credentials, or half a certificate, are refused before anything is tried."""
    with pytest.raises(InvalidSetting) as caught:
        load_settings(variables)
    assert all(name in str(caught.value) for name in named)
    assert "CANARY" not in str(caught.value)


def test_an_access_shows_no_secret() -> None:
    """Neither the text of an access nor of its settings holds a password or token."""
    for variables in ({"NATS_URL": "nats://u:CANARY@h:1"}, {"NATS_TOKEN": "CANARY"}):
        settings = load_settings(variables)
        assert "CANARY" not in f"{NatsAccess.of(settings)!r} {NatsAccess.of(settings)} {settings!r}"
    assert NatsAccess("nats://u:CANARY@h:1,nats://u:CANARY@i:2").servers == "h:1,i:2"


def test_children_get_the_same_access() -> None:
    """The variables for a child process lead to the same access, and clear what this process inherited."""
    variables = {
        "NATS_URL": "tls://h:1",
        "NATS_CREDS_FILE": "/a/creds",
        "NATS_TLS_CA_FILE": "/a/ca",
        "NATS_TLS_CERT_FILE": "/a/cert",
        "NATS_TLS_KEY_FILE": "/a/key",
    }
    ours = load_settings(variables).nats_variables
    assert access(**ours) == access(**variables)
    assert ours["NATS_TOKEN"] == ""


def test_an_empty_variable_of_a_child_hides_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """An embedded server is not shown the credentials of another one: an empty variable means none."""
    monkeypatch.setenv("NATS_TOKEN", "CANARY")
    monkeypatch.setenv("NATS_TLS_CA_FILE", "/a/ca")
    settings = load_settings()
    cleared = dict.fromkeys(settings.nats_variables, "") | {"NATS_URL": "nats://127.0.0.1:1"}
    assert access(**cleared) == NatsAccess("nats://127.0.0.1:1")


def test_the_doctor_gets_in(doors: Doors, tmp_path: Path) -> None:
    """`vis-assets doctor` uses the same settings, and shows no secret."""
    where = {"VIS_ASSETS_HOME": str(tmp_path), "VIS_ASSETS_STORE_DIR": str(tmp_path / "store")}
    right, wrong = (next(examine(load_settings({**where, **given}))) for given in (doors.right, doors.wrong))
    assert (right.passed, wrong.passed) == (True, False)
    assert "CANARY" not in right.detail + wrong.detail


RUN = """
import os, subprocess, sys
watched = ["run", "job-without-a-record", "1", str(os.getpid())]
subprocess.run([sys.executable, "-m", "vis_assets.delivery.lease_keeper", *watched, "60", "/nonexistent"])
"""


def test_the_lease_keeper_gets_in(doors: Doors) -> None:
    """A run's lease keeper reads the same settings: it finds that the job is no more, and ends the run."""
    with NatsConnection(access(**doors.right), "test") as connection:
        connection.run(_ledger)
    environment = {**os.environ, **load_settings(doors.right).nats_variables}
    run = subprocess.Popen([sys.executable, "-c", RUN], env=environment)
    assert run.wait(30) == -9


async def _ledger(client: Client) -> None:
    from vis_assets.delivery import ledger

    await ledger.ensure(client, 1, 1)
