"""Sealing: what is sealed can be opened with the key, also after rotation, and with nothing else."""

import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from vis_assets.errors import InvalidSetting, SecretUnreadable
from vis_assets.resources.sealing import KEY_FILE, Sealer, open_sealer
from vis_assets.settings import Settings

OLD, NEW, OTHER = (Fernet.generate_key().decode() for _ in range(3))


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_what_is_sealed_can_be_opened(secret: str) -> None:
    """Any text comes back from its seal, which shows nothing of it."""
    sealer = Sealer([OLD])
    token = sealer.seal(secret)
    assert sealer.open(token) == secret
    assert token.isascii()
    assert len(secret) < 4 or secret not in token


def test_keys_can_be_rotated() -> None:
    """With the new key first, old seals still open; new seals need the new key."""
    rotated = Sealer([NEW, OLD])
    assert rotated.open(Sealer([OLD]).seal("s")) == "s"
    assert Sealer([NEW]).open(rotated.seal("s")) == "s"
    with pytest.raises(SecretUnreadable):
        Sealer([OLD]).open(rotated.seal("s"))


@pytest.mark.parametrize("token", ["", "nonsense", "é", "gAAAAA"])
def test_a_broken_seal_is_unreadable(token: str) -> None:
    """What is no seal of ours is SecretUnreadable."""
    with pytest.raises(SecretUnreadable):
        Sealer([OLD]).open(token)


def test_a_lost_key_is_told_with_its_variable() -> None:
    """With another key a secret cannot be opened, and the message names the variable."""
    with pytest.raises(SecretUnreadable, match="VIS_ASSETS_SECRET_KEY"):
        Sealer([OTHER]).open(Sealer([OLD]).seal("s"))


@pytest.mark.parametrize("keys", ["", "CANARY", f"{OLD},", f"{OLD},CANARY", "é" * 44], ids=range(5))
def test_a_malformed_key_is_refused_and_not_quoted(keys: str) -> None:
    """A key that is none is refused with the command that makes one; the value is not repeated."""
    with pytest.raises(InvalidSetting, match=r"Fernet\.generate_key") as caught:
        Sealer(keys.split(",")).seal("s")
    assert "CANARY" not in str(caught.value)
    assert OLD not in str(caught.value)


def test_keys_come_from_the_environment(tmp_path: Path) -> None:
    """Several keys in the variable, blanks allowed, are used, and no key file is made."""
    sealer = open_sealer(Settings(VIS_ASSETS_HOME=tmp_path, VIS_ASSETS_SECRET_KEY=f" {NEW} , {OLD}"))
    assert sealer.open(Sealer([OLD]).seal("s")) == "s"
    assert list(tmp_path.iterdir()) == []


def test_an_installation_makes_its_own_key(tmp_path: Path) -> None:
    """Without the variable a key file is made that only its owner can read, and is used from then on."""
    settings = Settings(VIS_ASSETS_HOME=tmp_path / "home")
    token = open_sealer(settings).seal("s")
    file = tmp_path / "home" / KEY_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == [KEY_FILE]
    assert open_sealer(settings).open(token) == "s"


def test_processes_that_race_agree_on_one_key(tmp_path: Path) -> None:
    """Processes that start at once on a fresh home seal with the same key."""
    script = (
        "import sys, pathlib\n"
        "from vis_assets.resources.sealing import open_sealer\n"
        "from vis_assets.settings import Settings\n"
        "sys.stdin.read(1)\n"
        "print(open_sealer(Settings(VIS_ASSETS_HOME=pathlib.Path(sys.argv[1]))).seal('s'))\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "home")]
    racers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("x")
        racer.stdin.flush()
    tokens = [racer.communicate(timeout=60)[0].strip() for racer in racers]
    sealer = open_sealer(Settings(VIS_ASSETS_HOME=tmp_path / "home"))
    assert [sealer.open(token) for token in tokens] == ["s"] * 4
    assert [path.name for path in (tmp_path / "home").iterdir()] == [KEY_FILE]


def test_an_empty_key_file_is_named(tmp_path: Path) -> None:
    """A key file that holds no key is told by its path: the variable is not what is wrong."""
    (tmp_path / KEY_FILE).write_text("")
    with pytest.raises(InvalidSetting, match=KEY_FILE):
        open_sealer(Settings(VIS_ASSETS_HOME=tmp_path)).seal("s")


def test_threads_that_race_agree_on_one_key(tmp_path: Path) -> None:
    """Threads that need the key of a fresh home at once get the same one."""
    for attempt in range(20):
        settings = Settings(VIS_ASSETS_HOME=tmp_path / str(attempt))
        ready = threading.Barrier(4)

        def seal(settings: Settings = settings, ready: threading.Barrier = ready) -> str:
            sealer = open_sealer(settings)
            ready.wait()
            return sealer.seal("s")

        with ThreadPoolExecutor(4) as threads:
            tokens = [future.result() for future in [threads.submit(seal) for _ in range(4)]]
        assert [open_sealer(settings).open(token) for token in tokens] == ["s"] * 4
