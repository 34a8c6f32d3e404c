"""A table of word vectors, its files, and the averages that were worked out of it by hand."""

import gzip
from pathlib import Path

WORDS = {"play": [1, 0, -2], "music": [3, 4, 0], "zoë": [0.5, -0.25, 1e-3], "Rain": [7, 7, 7]}
TEXTS = ["Play music!", "play, PLAY music", "Zoë", "rain", "", "Zoe\u0308 plays"]
BY_HAND = [[2, 2, -1], [5 / 3, 4 / 3, -4 / 3], [0.5, -0.25, 1e-3], [0, 0, 0], [0, 0, 0], [0.5, -0.25, 1e-3]]
GLOVE = "".join(f"{word} {' '.join(map(str, vector))}\n" for word, vector in WORDS.items())


def written(file: Path, content: str | bytes) -> Path:
    content = content.encode() if isinstance(content, str) else content
    file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)
    return file
