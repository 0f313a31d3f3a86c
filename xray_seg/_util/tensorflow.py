"""TensorFlow and its kin, imported without their chatter."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import IO


def tensorflow() -> ModuleType:
    """Import TensorFlow (over 3 s, so only where it is needed) with its logging kept to errors.

    What the user set in ``TF_CPP_MIN_LOG_LEVEL`` stands.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with stderr_held_back():
        import tensorflow as tf
    return tf


def tensorflow_text() -> ModuleType:
    """Import tensorflow-text, and with it TensorFlow, quietly."""
    tensorflow()
    with stderr_held_back():
        import tensorflow_text as text
    return text


def keras() -> ModuleType:
    """Import Keras, and with it its backend, quietly."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with stderr_held_back():
        import keras
    return keras


@contextmanager
def stderr_held_back() -> Iterator[None]:
    """Keep what native libraries write to file descriptor 2; show it if the block fails."""
    try:
        sys.stderr.flush()
        memory: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
        kept = os.dup(2)
    except (OSError, ValueError, AttributeError):  # no standard error, or nowhere to hold it
        yield
        return
    with memory as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            held.seek(0)
            with suppress(OSError):
                os.write(2, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
