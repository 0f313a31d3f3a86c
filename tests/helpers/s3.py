"""An S3 server of this machine: a folder as a read-only bucket, for tests with a real client.

Only what listing and reading need of the protocol: ListObjectsV2 (with prefix, delimiter and
pages), HeadObject and GetObject, in path style. Signatures are not checked.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_TIME_XML, _TIME_HTTP = "2026-01-02T03:04:05.000Z", "Fri, 02 Jan 2026 03:04:05 GMT"


class _Handler(BaseHTTPRequestHandler):
    """Answers for a bucket whose keys are the paths of files below ``folder``."""

    protocol_version = "HTTP/1.1"
    page = 5

    def __init__(self, folder: Path, bucket: str, *more: Any) -> None:
        self.folder, self.bucket = folder, bucket
        super().__init__(*more)

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        if bucket != self.bucket:
            self._fail(HTTPStatus.NOT_FOUND, "NoSuchBucket")
        elif key:
            self._send_object(self.folder / key)
        else:
            self._send_list({name: each[0] for name, each in parse_qs(url.query).items()})

    do_HEAD = do_GET  # noqa: N815

    def _send_list(self, query: dict[str, str]) -> None:
        """ListObjectsV2: keys in order, those with a delimiter after the prefix as one."""
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        entries: dict[str, str] = {}
        for path in self.folder.rglob("*"):
            key = path.relative_to(self.folder).as_posix()
            if not path.is_file() or not key.startswith(prefix):
                continue
            head, found, _ = key[len(prefix) :].partition(delimiter or "\0")
            name = escape(prefix + head + found if found else key)
            entries[name] = (
                f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"
                if found
                else f"<Contents><Key>{name}</Key><LastModified>{_TIME_XML}</LastModified>"
                f"<ETag>{_etag(path.read_bytes())}</ETag><Size>{path.stat().st_size}</Size>"
                "<StorageClass>STANDARD</StorageClass></Contents>"
            )
        names = sorted(name for name in entries if name > query.get("continuation-token", ""))
        shown, more = names[: self.page], len(names) > self.page
        token = f"<NextContinuationToken>{shown[-1]}</NextContinuationToken>" if more else ""
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{self.bucket}</Name><Prefix>{escape(prefix)}</Prefix>"
            f"<KeyCount>{len(shown)}</KeyCount><MaxKeys>{self.page}</MaxKeys>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}"
            f"{''.join(entries[name] for name in shown)}</ListBucketResult>"
        )
        self._send(HTTPStatus.OK, body.encode(), {"Content-Type": "application/xml"})

    def _send_object(self, path: Path) -> None:
        if not path.is_file():
            return self._fail(HTTPStatus.NOT_FOUND, "NoSuchKey")
        data = path.read_bytes()
        headers = {"ETag": _etag(data), "Last-Modified": _TIME_HTTP}
        return self._send(HTTPStatus.OK, data, headers)

    def _fail(self, status: HTTPStatus, code: str) -> None:
        body = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>"
        self._send(status, body.encode(), {"Content-Type": "application/xml"})

    def _send(self, status: HTTPStatus, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def _etag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


@contextmanager
def bucket_of(folder: Path, bucket: str) -> Iterator[dict[str, str]]:
    """Serve a folder as a bucket within the block; yields the environment of its clients."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, folder, bucket))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
            "AWS_ACCESS_KEY_ID": "anyone",
            "AWS_SECRET_ACCESS_KEY": "anything",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
