"""Files of somebody else, for the tests that run as root."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

NOBODY = 65534

needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become a plain user"
)


@contextmanager
def as_a_plain_user() -> Iterator[None]:
    """As somebody who owns nothing here; the way to the files must be open to all."""
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
