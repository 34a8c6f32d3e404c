"""Files of pretrained word vectors: the lines of text of word2vec, fastText and GloVe, and word2vec's binary format.

The reading is done here and not by gensim, which takes the first rows of a file that holds more than it says, stops at
GloVe's words with a space in them and can't tell the line at fault. A pickle is never opened.
"""

import gzip
import itertools
import re
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterator
from functools import lru_cache
from io import BufferedIOBase
from os import PathLike
from pathlib import Path
from typing import TypeAlias

import numpy as np

from intent_bert.errors import CheckpointError, SettingsError

Rows: TypeAlias = Iterator[tuple[str, bytes]]  # a word, and its numbers as float32

MOST_NUMBERS = 10_000  # in a vector
_HEADER = re.compile(rb"(\d{1,12}) (\d{1,12})\s*")
_LONGEST_LINE = 1 << 20  # bytes; what is no vectors file may have no line end at all
_LONGEST_WORD = 1 << 12
_PRINTABLE = bytes([9, 10, 13, *range(32, 127)])


def read_word_vectors(path: str | PathLike, limit: int | None = None) -> tuple[dict[str, int], np.ndarray]:
    """Read pretrained vectors; of a word that stands twice, the first. The file read last stays in memory.

    Args:
        path: .txt, .vec or .bin, or one of them and .gz.
        limit: take this many words from the top.

    Returns:
        The row of each word, and the vectors, float32 (words, size); not to be written to.

    Raises:
        SettingsError: no such file, a folder, a pickle, or a name that doesn't tell the format.
        CheckpointError: what is wrong in the file, and where.
    """
    file = Path(path).expanduser()
    if file.is_dir():
        raise SettingsError(f"{file} is a folder: name the file of word vectors in it")
    try:
        state = file.stat()
    except OSError as error:
        raise _unreadable(file, error) from error
    kind = _kind(file)
    if kind in (".kv", ".model", ".pkl", ".pickle"):
        raise _pickled(file)
    if kind not in (".txt", ".vec", ".bin"):
        raise SettingsError(
            f"{file} should be called .txt or .vec (lines of text) or .bin (word2vec's binary format), each also "
            "with .gz: rename it, or save the vectors in one of these formats"
        )
    return _read(file.resolve(), limit, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=1)  # for the folds of a cross-validation
def _read(file: Path, limit: int | None, *_state: int) -> tuple[dict[str, int], np.ndarray]:
    try:
        with gzip.open(file) if file.suffix.lower() == ".gz" else file.open("rb") as stream:
            return _table(file, stream, limit)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise CheckpointError(f"{file} can't be unpacked ({error}): fetch it again") from error
    except OSError as error:
        raise _unreadable(file, error) from error


def _table(file: Path, stream: BufferedIOBase, limit: int | None) -> tuple[dict[str, int], np.ndarray]:
    first = stream.readline(_LONGEST_LINE).removeprefix(BOM_UTF8)
    if not first:
        raise CheckpointError(f"{file} is empty: expected word vectors")
    if first.startswith(b"\x80"):
        raise _pickled(file)
    header = _HEADER.fullmatch(first)
    count = int(header[1]) if header else None
    size = int(header[2]) if header else _trailing_numbers(_readable(first))
    if header and not 1 <= size <= MOST_NUMBERS:
        raise CheckpointError(f"{file}: its first line says {size} numbers a word: expected 1 to {MOST_NUMBERS}")
    if _kind(file) == ".bin":
        if not header:
            raise CheckpointError(
                f"{file}: expected a first line with the number of words and of numbers a word, got {_excerpt(first)}: "
                "it is not word2vec's binary format (fastText's own .bin isn't either: take its .vec)"
            )
        rows = _binary_rows(file, stream, size)
    elif size:
        rows = _text_rows(file, stream, size, b"" if header else first)
    else:
        raise CheckpointError(
            f"{file}, line 1: expected a word and its numbers, parted by spaces, got {_excerpt(first)}: "
            "it is no file of word vectors"
        )
    words: dict[str, int] = {}
    values = bytearray()
    read = 0
    for read, (word, numbers) in enumerate(rows, 1):
        if count is not None and read > count:
            raise CheckpointError(
                f"{file}: its first line says {count} words, but more follow: mend that line, or fetch the file again"
            )
        if limit is not None and read > limit:
            break
        if word not in words:
            words[word] = len(words)
            values += numbers
    else:
        if count not in (None, read):
            raise CheckpointError(
                f"{file}: its first line says {count} words, but {read} follow: it is cut short; fetch it again"
            )
    if not words:
        raise CheckpointError(f"{file} holds no word: expected word vectors")
    vectors = np.frombuffer(values, "<f4").reshape(-1, size).astype("float32", copy=False)
    if not np.isfinite(vectors).all():
        wrong = list(words)[int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])]
        raise CheckpointError(f"{file}: the vector of {wrong!r} holds a number that is not finite; fetch it again")
    vectors.flags.writeable = False
    return words, vectors


def _text_rows(file: Path, stream: BufferedIOBase, size: int, first: bytes) -> Rows:
    """A word and its numbers in each line; a word may hold spaces (GloVe has some), a line may be blank."""
    lines = iter(lambda: stream.readline(_LONGEST_LINE), b"")
    for number, content in enumerate(itertools.chain([first], lines), 1):
        try:
            line = content.decode().rstrip(" \t\r\n")
        except UnicodeDecodeError:
            raise CheckpointError(
                f"{file}, line {number} is not UTF-8: save the file as UTF-8, or call it .bin if it is word2vec's "
                "binary format"
            ) from None
        if not line:
            continue
        word, *numbers = line.rsplit(" ", size)
        try:
            row = [float(each) for each in numbers]
        except ValueError:
            row = []
        if len(row) != size or (" " in word and _trailing_numbers(word)):
            raise CheckpointError(
                f"{file}, line {number}: expected a word and {size} numbers, parted by spaces, but {_excerpt(content)} "
                f"ends with {_trailing_numbers(line)}"
            )
        with np.errstate(over="ignore"):  # infinity is found later
            vector = np.array(row, "<f4").tobytes()
        yield word.strip(" "), vector


def _binary_rows(file: Path, stream: BufferedIOBase, size: int) -> Rows:
    """A word, a space and its numbers as float32, little-endian; some writers add a line end."""
    for number in itertools.count(1):
        word = bytearray()
        while (byte := stream.read(1)) not in (b" ", b"") and len(word) < _LONGEST_WORD:
            word += byte
        name = bytes(word.lstrip(b"\n"))
        if not byte and not name:
            return
        numbers = stream.read(4 * size)
        if number == 1 and len(numbers) >= 16 and not numbers.translate(None, _PRINTABLE):
            raise CheckpointError(f"{file} holds lines of text, not word2vec's binary format: call it .txt")
        if byte != b" " or len(numbers) < 4 * size:
            raise CheckpointError(
                f"{file}, word {number}: expected a word, a space and {size} numbers of 4 bytes, but it ends after "
                f"{len(numbers)} bytes: it is cut short or not word2vec's binary format; fetch it again"
            )
        try:
            text = name.decode()
        except UnicodeDecodeError:
            raise CheckpointError(
                f"{file}, word {number}: {_excerpt(name)} is not UTF-8: it is damaged or not word2vec's binary format"
            ) from None
        yield text, numbers


def _kind(file: Path) -> str:
    return Path(file.name.lower().removesuffix(".gz")).suffix


def _trailing_numbers(line: str) -> int:
    """How many numbers stand at the end of a line; what it begins with is a word, whatever it looks like."""
    pieces = line.rstrip().split(" ")
    for found, piece in enumerate(reversed(pieces[1:])):
        try:
            float(piece)
        except ValueError:
            return found
    return len(pieces) - 1


def _readable(content: bytes) -> str:
    return content.rstrip().decode(errors="replace")


def _excerpt(content: bytes) -> str:
    text = _readable(content)
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def _unreadable(file: Path, error: OSError) -> SettingsError:
    return SettingsError(f"the file of word vectors {file} can't be read: {error.strerror or error}")


def _pickled(file: Path) -> SettingsError:
    return SettingsError(
        f"{file} is a pickle, gensim's own format, which can run code when it is read: save its vectors with "
        "KeyedVectors.save_word2vec_format('vectors.txt') and give that file"
    )
