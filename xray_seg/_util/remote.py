"""Inputs in object stores, through fsspec: s3://, gs://, az:// and what else it knows."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")
#: What stores call the version of a file's content, by preference.
_VERSIONS = ("ETag", "etag", "content_hash", "md5Hash", "LastModified", "last_modified", "mtime")


@dataclass(frozen=True)
class Remote:
    """A file in an object store.

    Attributes:
        url: where it is.
        state: its size and version by the store's listing; another for another content.
    """

    url: str
    state: str = "missing"

    def __str__(self) -> str:
        return self.url

    @property
    def suffix(self) -> str:
        """As of a path."""
        return PurePosixPath(self.url).suffix

    def absolute(self) -> Remote:
        """Itself: a URL names one place."""
        return self

    def read_bytes(self) -> bytes:
        """The whole file, read anew.

        Raises:
            OSError: the store does not give it.
        """
        import fsspec

        store, path = fsspec.core.url_to_fs(self.url)
        content: bytes = store.cat_file(path)
        return content


@dataclass(frozen=True)
class Found:
    """A file, or what stands for one that cannot be had.

    Attributes:
        path: where it is.
        relative: its path within the folder or pattern that was asked for.
        problem: why it cannot be read, or None.
    """

    path: Remote
    relative: PurePosixPath
    problem: str | None = None


def is_url(name: str) -> bool:
    """Whether a name is that of something in an object store."""
    return _URL.match(name) is not None


def find_remote(url: str, wanted: Callable[[str], bool]) -> Iterator[Found]:
    """The files that a URL stands for, in the order that a local folder's files have.

    Args:
        url: of a file, a folder (read at any depth) or a glob pattern.
        wanted: of a file's or folder's name, whether it may hold a radiograph.
    """
    own = PurePosixPath(url.rstrip("/")).name
    try:
        import fsspec

        store, root = fsspec.core.url_to_fs(url)
        root = root.rstrip("/")
        files, base = _list(store, root)
    except FileNotFoundError:
        yield Found(Remote(url), PurePosixPath(own), f"{url}: no such file or folder")
        return
    except Exception as error:  # noqa: BLE001 - each kind of store has exceptions of its own
        reason = f"{url}: cannot be listed: {type(error).__name__}: {error}"
        yield Found(Remote(url), PurePosixPath(own), reason)
        return
    empty = True
    for path in sorted(files, key=_walking_order):
        relative = PurePosixPath(path).relative_to(base)
        if all(wanted(part) for part in relative.parts) and not path.endswith("/"):
            empty = False
            state = f"{files[path].get('size')} {_version(files[path])}"
            yield Found(Remote(store.unstrip_protocol(path), state), relative)
    if empty:
        reason = "no file matches this pattern" if glob.has_magic(url) else "holds no files"
        yield Found(Remote(url), PurePosixPath(own), f"{url}: {reason}")


def _list(store: Any, root: str) -> tuple[dict[str, dict[str, Any]], str]:
    """Listing by path of the files below or matching ``root``, and what paths are relative to."""
    if glob.has_magic(root):
        fixed = root[: re.search(r"[*?\[]", root).start()]  # type: ignore[union-attr]
        matches = store.glob(root, detail=True)
        files = {path: info for path, info in matches.items() if info["type"] == "file"}
        for path in set(matches) - set(files):
            files |= store.find(path, detail=True)
        return files, fixed.rpartition("/")[0]
    if store.isdir(root):
        return store.find(root, detail=True), root
    return {root: store.info(root)}, root.rpartition("/")[0]


def _walking_order(path: str) -> tuple[tuple[bool, str], ...]:
    """A folder's files come before its folders, each in alphabetical order."""
    *folders, name = path.split("/")
    return (*((True, folder) for folder in folders), (False, name))


def _version(info: dict[str, Any]) -> str:
    return next((str(info[name]) for name in _VERSIONS if name in info), str(info.get("created")))
