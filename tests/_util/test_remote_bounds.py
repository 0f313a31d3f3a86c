"""Remote files that are too long or never end are refused before they are read."""

import os
import threading

import pytest

from xray_seg._util.remote import RemoteFile, readable_source
from xray_seg.errors import NotARadiograph, ReadError


def test_a_pipe_in_a_file_url_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    refused = []

    def fetch():
        with pytest.raises(NotARadiograph, match=r"file://.*pipe\.png: is a pipe or device"):
            readable_source(RemoteFile(f"file://{tmp_path}/pipe.png"))
        refused.append(True)

    thread = threading.Thread(target=fetch, daemon=True)
    thread.start()
    thread.join(20)
    assert refused == [True]


def test_a_remote_file_that_is_too_long_is_not_downloaded(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    url = f"file://{tmp_path}/a.png"
    assert readable_source(RemoteFile(url, "99 x"), max_length=99)[:4] == b"\x89PNG"
    with pytest.raises(ReadError, match=r"a\.png: 100 bytes"):
        readable_source(RemoteFile(url, "100 x"), max_length=99)
