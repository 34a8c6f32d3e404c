"""Vectors in a file: what comes back, what counts as missing, and a file that is something else."""

import sqlite3

import numpy as np
import pytest

from intent_bert.errors import DiskError
from intent_bert.estimators.vector_store import STORE_FILE, VectorStore


def vectors(*numbers: int) -> dict[bytes, np.ndarray]:
    return {b"name %d" % number: np.full(3, number, "float32") for number in numbers}


def test_what_was_written_comes_back_in_another_store(tmp_path):
    VectorStore(tmp_path / "new").write(vectors(*range(1200)))
    found = VectorStore(tmp_path / "new").read([b"none", *vectors(*range(1100, 1300))], 3)
    assert list(found) == list(vectors(*range(1100, 1200)))
    np.testing.assert_array_equal(found[b"name 1150"], [1150, 1150, 1150])
    assert found[b"name 1150"].dtype == np.float32


def test_a_vector_of_another_width_is_missing_and_replaced(tmp_path):
    store = VectorStore(tmp_path)
    store.write(vectors(1))
    assert store.read([b"name 1"], 4) == {}
    store.write({b"name 1": np.zeros(4, "float32")})
    assert store.read([b"name 1"], 4)[b"name 1"].shape == (4,)


def test_a_vector_that_lost_its_end_is_missing(tmp_path):
    store = VectorStore(tmp_path)
    store.write(vectors(1))
    with sqlite3.connect(tmp_path / STORE_FILE) as database:
        database.execute("UPDATE vectors SET vector = x'00000000'")
    assert store.read([b"name 1"], 3) == {}


def test_a_file_that_is_something_else(tmp_path):
    (tmp_path / STORE_FILE).write_bytes(b"something else, and long enough " * 40)
    with pytest.raises(DiskError) as caught:
        VectorStore(tmp_path).read([b"a"], 3)
    assert str(caught.value) == (
        f"memory can't be kept in {tmp_path / STORE_FILE}: file is not a database; name another folder"
    )
    with pytest.raises(DiskError, match="name another folder"):
        VectorStore(tmp_path / STORE_FILE).write(vectors(1))
