"""Where objects are kept: an S3 bucket, or a folder. Keys are `/`-separated; an object is never seen half-written."""

import contextlib
import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from vis_assets.errors import ObjectMissing, PermanentError, StoreUnavailable
from vis_assets.settings import Settings

WRITE = "write"
_KEY_PART = re.compile(r"[A-Za-z0-9@_+=-][A-Za-z0-9@._+=-]*")


@dataclass(frozen=True)
class StoredObject:
    """An object in a listing.

    Attributes:
        key: its key.
        modified: when it was written last, seconds since 1970 by the clock of the store.
    """

    key: str
    modified: float


class ObjectStore(Protocol):
    """Objects by key. Every method raises StoreUnavailable where the store does not answer."""

    def write(
        self, key: str, source: bytes | Path, content_type: str, metadata: Mapping[str, str] | None = None
    ) -> None:
        """Create or replace an object; readers see the old one or the whole new one."""

    def read(self, key: str) -> bytes:
        """Return an object's bytes; raises ObjectMissing."""

    def download(self, key: str, target: Path) -> None:
        """Copy an object into a file; raises ObjectMissing."""

    def exists(self, key: str) -> bool:
        """Whether there is an object under that key."""

    def keys(self, prefix: str) -> Iterator[str]:
        """Keys that begin with the prefix, in no order."""

    def listing(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        """Objects whose keys begin with the prefix and come after that key, in the order of their keys."""

    def delete(self, key: str) -> None:
        """Remove an object; no error where there is none."""

    def require_writable(self) -> None:
        """Raise StoreUnavailable where nothing could be written now, as far as can be told without writing."""

    def describe(self) -> str:
        """Say where this is, without secrets."""


def check_key(key: str) -> str:
    """Return the key if every part of it is plain, so that it can never leave its prefix.

    Raises:
        PermanentError: an empty part, a leading dot, or a character outside `[A-Za-z0-9@._+=-]`.
    """
    if not all(_KEY_PART.fullmatch(part) for part in key.split("/")):
        raise PermanentError(
            f"object key {key[:200]!r} is not allowed: parts must be of [A-Za-z0-9@._+=-], no leading dot"
        )
    return key


def _removed_empty(folder: Path) -> bool:
    """Remove a folder unless there is something in it, also where somebody else removes it or writes into it now."""
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
            return False
        raise
    return True


class FolderStore:
    """Objects as files below a folder. Content types and metadata are not kept: a file's name says what it is."""

    def __init__(self, root: Path) -> None:
        """Objects go below `root`, which is created when needed."""
        self.root = root.absolute()

    def path(self, key: str) -> Path:
        """File of an object."""
        return self.root / check_key(key)

    def write(
        self, key: str, source: bytes | Path, content_type: str, metadata: Mapping[str, str] | None = None
    ) -> None:
        """See ObjectStore: the file is written aside, flushed to disk and then renamed."""
        target = self.path(key)
        with self._translated(WRITE, key):
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, aside = tempfile.mkstemp(dir=target.parent, prefix=".writing-")
            try:
                with os.fdopen(handle, "wb") as sink:
                    if isinstance(source, bytes):
                        sink.write(source)
                    else:
                        with source.open("rb") as origin:
                            shutil.copyfileobj(origin, sink, 1 << 20)
                    sink.flush()
                    os.fsync(sink.fileno())
                Path(aside).chmod(0o644)
                Path(aside).replace(target)
            except BaseException:
                Path(aside).unlink(missing_ok=True)
                raise

    def read(self, key: str) -> bytes:
        """See ObjectStore."""
        with self._translated("read", key):
            return self.path(key).read_bytes()

    def download(self, key: str, target: Path) -> None:
        """See ObjectStore."""
        with self._translated("read", key):
            shutil.copyfile(self.path(key), target)

    def exists(self, key: str) -> bool:
        """See ObjectStore."""
        with self._translated("look up", key):
            return self.path(key).is_file()

    def keys(self, prefix: str) -> Iterator[str]:
        """See ObjectStore."""
        base = self.root / prefix.rpartition("/")[0]
        for folder, _, names in os.walk(base):
            for name in names:
                key = Path(folder, name).relative_to(self.root).as_posix()
                if key.startswith(prefix) and not name.startswith("."):
                    yield key

    def listing(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        """See ObjectStore; an object that is deleted meanwhile is left out."""
        with self._translated("list", prefix):
            for key in sorted(key for key in self.keys(prefix) if key > after):
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    yield StoredObject(key, (self.root / key).stat().st_mtime)

    def delete(self, key: str) -> None:
        """See ObjectStore; folders left empty go too."""
        path = self.path(key)
        with contextlib.suppress(ObjectMissing), self._translated("delete", key):
            path.unlink(missing_ok=True)
            for folder in path.parents:
                if folder == self.root or not _removed_empty(folder):
                    break

    def require_writable(self) -> None:
        """See ObjectStore."""
        with self._translated(WRITE, "anything"):
            self.root.mkdir(parents=True, exist_ok=True)
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise StoreUnavailable(f"{self.describe()} cannot be written; check its permissions")

    def describe(self) -> str:
        """See ObjectStore."""
        return f"folder {self.root}"

    @contextlib.contextmanager
    def _translated(self, action: str, key: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            if action == WRITE:
                raise StoreUnavailable(
                    f"cannot write {key} in {self.describe()}: {error.strerror}; "
                    "check the disk and its permissions, and that every part of the path is a folder"
                ) from None
            raise ObjectMissing(f"no object {key} in {self.describe()}") from None
        except OSError as error:
            raise StoreUnavailable(
                f"cannot {action} {key} in {self.describe()}: {error.strerror}; check the disk and its permissions"
            ) from None


class S3Store:
    """Objects in an S3 bucket."""

    def __init__(self, client: Any, bucket: str) -> None:
        """Use a boto3 S3 client (dagster-aws' S3Resource makes one) and an existing bucket."""
        self.client = client
        self.bucket = bucket

    def write(
        self, key: str, source: bytes | Path, content_type: str, metadata: Mapping[str, str] | None = None
    ) -> None:
        """See ObjectStore: one PUT or one multipart upload, both of which S3 shows only when complete."""
        extra = {"ContentType": content_type, "Metadata": dict(metadata or {})}
        with self._translated(WRITE, key):
            if isinstance(source, bytes):
                self.client.put_object(Bucket=self.bucket, Key=check_key(key), Body=source, **extra)
            else:
                self.client.upload_file(str(source), self.bucket, check_key(key), ExtraArgs=extra)

    def read(self, key: str) -> bytes:
        """See ObjectStore."""
        with self._translated("read", key):
            body: bytes = self.client.get_object(Bucket=self.bucket, Key=check_key(key))["Body"].read()
            return body

    def download(self, key: str, target: Path) -> None:
        """See ObjectStore."""
        with self._translated("read", key):
            self.client.download_file(self.bucket, check_key(key), str(target))

    def exists(self, key: str) -> bool:
        """See ObjectStore."""
        try:
            with self._translated("look up", key):
                self.client.head_object(Bucket=self.bucket, Key=check_key(key))
        except ObjectMissing:
            return False
        return True

    def keys(self, prefix: str) -> Iterator[str]:
        """See ObjectStore."""
        return (found.key for found in self.listing(prefix))

    def listing(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        """See ObjectStore."""
        start = {"StartAfter": after} if after else {}
        pages = self.client.get_paginator("list_objects_v2")
        with self._translated("list", prefix):
            for page in pages.paginate(Bucket=self.bucket, Prefix=prefix, **start):
                for entry in page.get("Contents", ()):
                    yield StoredObject(entry["Key"], entry["LastModified"].timestamp())

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        with contextlib.suppress(ObjectMissing), self._translated("delete", key):
            self.client.delete_object(Bucket=self.bucket, Key=check_key(key))

    def require_writable(self) -> None:
        """See ObjectStore: the bucket answers."""
        try:
            with self._translated("look up", "the bucket"):
                self.client.head_bucket(Bucket=self.bucket)
        except ObjectMissing:
            raise StoreUnavailable(f"there is no {self.describe()}; make it, or correct S3_BUCKET_NAME") from None

    def describe(self) -> str:
        """See ObjectStore."""
        return f"bucket {self.bucket} at {self.client.meta.endpoint_url}"

    @contextlib.contextmanager
    def _translated(self, action: str, key: str) -> Iterator[None]:
        from boto3.exceptions import Boto3Error, S3UploadFailedError
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in {"NoSuchKey", "404", "NotFound"}:
                raise ObjectMissing(f"no object {key} in {self.describe()}") from None
            raise StoreUnavailable(
                f"cannot {action} {key} in {self.describe()}: {code}; check the bucket, its policy and AWS_*"
            ) from None
        except S3UploadFailedError as error:
            refusal = re.search(r"\((\w+)\) when calling", str(error))
            reason = refusal[1] if refusal else "the upload broke off"
            raise StoreUnavailable(
                f"cannot {action} {key} in {self.describe()}: {reason}; check the bucket, its policy and AWS_*"
            ) from None
        except (BotoCoreError, Boto3Error) as error:
            raise StoreUnavailable(
                f"cannot {action} {key} in {self.describe()}: {type(error).__name__}; "
                "is AWS_ENDPOINT_URL right and reachable?"
            ) from None


def open_store(settings: Settings) -> ObjectStore:
    """Return the store of this installation: its bucket, or its folder where no bucket is set."""
    if settings.s3_bucket_name is None:
        return FolderStore(settings.store_folder)
    from dagster_aws.s3 import S3Resource

    access, secret = settings.aws_access_key_id, settings.aws_secret_access_key
    client = S3Resource(
        region_name=settings.aws_region,
        endpoint_url=settings.aws_endpoint_url,
        aws_access_key_id=access.get_secret_value() if access else None,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
    ).get_client()
    return S3Store(client, settings.s3_bucket_name)
