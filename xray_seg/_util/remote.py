"""Input files, local or in an object store that fsspec knows (``s3://``, ``gs://``, ``az://``).

fsspec is imported only when a URL is listed or read.
"""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from ..errors import NotARadiograph, ReadError
from .files import file_sha256

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")
#: Keys under which stores list the version of an object's content, preferred ones first.
_VERSION_KEYS = (
    *("ETag", "etag", "content_hash", "md5Hash"),
    *("LastModified", "last_modified", "mtime", "created"),
)


@dataclass(frozen=True)
class RemoteFile:
    """A file in an object store, with the version that its store listed.

    Attributes:
        url: its address, spelled as the store's listing or the user spells it.
        version: size and version of its content; changes when the content changes.
    """

    url: str
    version: str = "missing"

    def __str__(self) -> str:
        return self.url

    @property
    def suffix(self) -> str:
        """The suffix of its name, as ``Path.suffix``."""
        return PurePosixPath(self.url).suffix

    @property
    def listed_size(self) -> int:
        """Its bytes as its store listed them; 0 where it did not."""
        size = self.version.partition(" ")[0]
        return int(size) if size.isdecimal() else 0

    def absolute(self) -> RemoteFile:
        """The file itself: a URL is always absolute."""
        return self

    def read_bytes(self) -> bytes:
        """Download the whole file.

        Raises:
            NotARadiograph: it is a local pipe or device, which might never end.
            OSError: the store does not return it.
        """
        import fsspec

        store, path = fsspec.core.url_to_fs(self.url)
        local = isinstance(store, fsspec.implementations.local.LocalFileSystem)
        if local and Path(path).exists() and not Path(path).is_file():
            raise NotARadiograph(f"{self.url}: is a pipe or device, not an image file")
        content: bytes = store.cat_file(path)
        return content


#: Where an input is.
InputPath: TypeAlias = Path | RemoteFile


def is_url(name: str) -> bool:
    """Whether a name is a URL of an object store rather than a local path."""
    return _URL.match(name) is not None


def content_version(path: InputPath, verify: str = "mtime") -> str:
    """Text that changes when a file's content changes.

    Args:
        path: the file; a remote one is judged by the version that its store listed.
        verify: ``mtime`` for a local file's size and modification time, ``hash`` for its size and
            SHA-256.

    Raises:
        OSError: the local file does not exist or cannot be read.
        ValueError: the path holds a null character.
    """
    if isinstance(path, RemoteFile):
        return path.version
    status = path.stat()
    if verify == "hash" and path.is_file():  # reading a pipe would wait for its writer
        return f"{status.st_size} {file_sha256(path)}"
    return f"{status.st_size} {status.st_mtime_ns}"


def readable_source(path: InputPath, *, max_length: int | None = None) -> Path | bytes:
    """What ``readers.read`` takes for this input: a local path, or a remote file's bytes.

    Args:
        path: the input.
        max_length: bytes from which on a remote file is not downloaded; None for any length.

    Raises:
        ReadError: the remote file is longer, or is a local pipe or device.
        OSError: the store does not return the file.
    """
    if not isinstance(path, RemoteFile):
        return path
    if max_length is not None and path.listed_size > max_length:
        raise ReadError(
            f"{path}: {path.listed_size:,} bytes, too many for an image; if it is a radiograph, "
            "raise the limit with --max-pixels N"
        )
    return path.read_bytes()


def list_remote_files(url: str) -> list[tuple[RemoteFile, PurePosixPath]]:
    """List the files that a URL names, in the order in which a local folder's files come.

    Args:
        url: of a file, a folder (read at any depth) or a glob pattern.

    Returns:
        Each file with its path relative to the folder, or to the literal part of the pattern.

    Raises:
        OSError: nothing is there, or the store cannot be listed; the message begins with the URL.
    """
    try:
        import fsspec

        store, root = fsspec.core.url_to_fs(url)
        files, base = _list(store, root.rstrip("/"))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{url}: no such file or folder") from error
    except Exception as error:  # each kind of store has exceptions of its own
        raise OSError(f"{url}: cannot be listed: {type(error).__name__}: {error}") from error
    return [
        (
            RemoteFile(store.unstrip_protocol(path), _listed_version(files[path])),
            PurePosixPath(path).relative_to(base),
        )
        for path in sorted(files, key=_walking_order)
        if not path.endswith("/")  # a placeholder of an empty folder
    ]


def _list(store: Any, root: str) -> tuple[dict[str, dict[str, Any]], str]:
    """Files below or matching ``root`` as path to listing entry, and the base of relative paths."""
    if glob.has_magic(root):
        literal = root[: re.search(r"[*?\[]", root).start()]  # type: ignore[union-attr]
        matches = store.glob(root, detail=True)
        files = {path: info for path, info in matches.items() if info["type"] == "file"}
        for path in set(matches) - set(files):
            files |= store.find(path, detail=True)
        return files, literal.rpartition("/")[0]
    if store.isdir(root):
        return store.find(root, detail=True), root
    return {root: store.info(root)}, root.rpartition("/")[0]


def _walking_order(path: str) -> tuple[tuple[bool, str], ...]:
    """Sort key that puts a folder's files before its folders, each in alphabetical order."""
    *folders, name = path.split("/")
    return (*((True, folder) for folder in folders), (False, name))


def _listed_version(info: dict[str, Any]) -> str:
    version = next((info[key] for key in _VERSION_KEYS if key in info), None)
    return f"{info.get('size')} {version}"
