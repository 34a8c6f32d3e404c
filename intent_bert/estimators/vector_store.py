"""Vectors kept on disk: one SQLite file in a folder, float32 arrays under names of bytes.

Several processes may read and write it at once. What a name stands for is the caller's business; no Keras here.
"""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from os import PathLike
from pathlib import Path

import numpy as np

from intent_bert.errors import DiskError, reason

STORE_FILE = "features.sqlite"
_NAMES_IN_A_QUERY = 500


class VectorStore:
    """The vectors in a folder.

    Args:
        folder: made when it is first read or written.
    """

    def __init__(self, folder: str | PathLike) -> None:
        self.path = Path(folder).expanduser() / STORE_FILE

    def read(self, names: Iterable[bytes], width: int) -> dict[bytes, np.ndarray]:
        """Those of the vectors that are there, float32 (width,) each; one of another width counts as missing.

        Raises:
            DiskError: the file can't be read or made, or is something else.
        """
        wanted, found = list(names), {}
        with self._open() as database:
            for start in range(0, len(wanted), _NAMES_IN_A_QUERY):
                some = wanted[start : start + _NAMES_IN_A_QUERY]
                marks = ",".join("?" * len(some))
                query = f"SELECT name, vector FROM vectors WHERE name IN ({marks})"
                for name, content in database.execute(query, some):
                    if len(content) == 4 * width:
                        found[name] = np.frombuffer(content, "<f4")
        return found

    def write(self, vectors: dict[bytes, np.ndarray]) -> None:
        """Keep these vectors, float32 (width,) each; those of the same names are replaced.

        Raises:
            DiskError: the file can't be written, or is something else.
        """
        rows = [(name, vector.astype("<f4").tobytes()) for name, vector in vectors.items()]
        with self._open() as database, database:
            database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=60)) as database:
                database.execute("CREATE TABLE IF NOT EXISTS vectors (name BLOB PRIMARY KEY, vector BLOB NOT NULL)")
                yield database
        except (OSError, sqlite3.Error) as error:
            raise DiskError(f"memory can't be kept in {self.path}: {reason(error)}; name another folder") from error
