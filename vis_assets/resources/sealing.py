"""Sealing the secrets of a job, so that what is stored of it can be read by anyone and used by nobody else."""

import contextlib
import os
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from vis_assets.errors import InvalidSetting, SecretUnreadable
from vis_assets.settings import Settings

KEY_FILE = "secret.key"


class Sealer:
    """Seals with the first key; opens with any."""

    def __init__(self, keys: list[str] | Path) -> None:
        """Take Fernet keys, newest first, or a key file, which is read, or made, on first use.

        Raises:
            InvalidSetting: a key is no Fernet key.
        """
        self._file = keys if isinstance(keys, Path) else None
        self._ready = None if isinstance(keys, Path) else _fernet(keys, "VIS_ASSETS_SECRET_KEY")

    @property
    def _keys(self) -> MultiFernet:
        if self._ready is None:
            assert self._file is not None
            self._ready = _fernet([_own_key(self._file)], f"the key file {self._file}")
        return self._ready

    def seal(self, secret: str) -> str:
        """Encrypt and sign a secret."""
        return self._keys.encrypt(secret.encode()).decode()

    def open(self, token: str) -> str:
        """Decrypt what `seal` returned.

        Raises:
            SecretUnreadable: none of the keys made this token.
        """
        try:
            return self._keys.decrypt(token.encode()).decode()
        except InvalidToken:
            raise SecretUnreadable("it was sealed with a key that VIS_ASSETS_SECRET_KEY no longer holds") from None


def open_sealer(settings: Settings) -> Sealer:
    """Make the sealer of this installation; without `VIS_ASSETS_SECRET_KEY`, from a key file made on first use."""
    if settings.secret_key is not None:
        return Sealer([key.strip() for key in settings.secret_key.get_secret_value().split(",")])
    return Sealer(settings.home.absolute() / KEY_FILE)


def _fernet(keys: list[str], origin: str) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        raise InvalidSetting(
            f"{origin} holds no list of Fernet keys (32 url-safe base64 bytes each); make one with "
            "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
        ) from None


def _own_key(path: Path) -> str:
    """Read the key file, or make it, readable by its owner only; whoever races for it gets the same key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
        with os.fdopen(handle, "w") as sink:
            sink.write(Fernet.generate_key().decode())
        with contextlib.suppress(FileExistsError):
            os.link(aside, path)
        Path(aside).unlink()
    key = path.read_text().strip()
    if not key:
        raise InvalidSetting(f"{path} holds no key; restore it, or remove it and send the jobs with secrets again")
    return key
