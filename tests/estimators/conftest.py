"""Word vectors as gensim holds them, and in a file."""

from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors
from word_vector_tables import GLOVE, WORDS, written


@pytest.fixture
def keyed() -> KeyedVectors:
    """The same words as gensim holds them."""
    keyed = KeyedVectors(3)
    keyed.add_vectors(list(WORDS), np.array(list(WORDS.values()), "float32"))
    return keyed


@pytest.fixture
def glove(tmp_path: Path) -> Path:
    return written(tmp_path / "glove.txt", GLOVE)
