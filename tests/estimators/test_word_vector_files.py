"""Files of word vectors: each format as other programs write it, and one sentence for each that is wrong."""

import pickle
import re

import numpy as np
import pytest
from word_vector_tables import BY_HAND, TEXTS, WORDS, written

from intent_bert import WordVectorTransformer
from intent_bert.errors import CheckpointError, SettingsError
from intent_bert.estimators.word_vector_files import read_word_vectors


@pytest.mark.parametrize("packed", ["", ".gz"], ids=["plain", "packed"])
@pytest.mark.parametrize(
    ("name", "options"),
    [("v.txt", {}), ("v.VEC", {}), ("v.bin", {"binary": True}), ("glove.6B.3d.txt", {"write_header": False})],
    ids=["text", "vec", "binary", "glove"],
)
def test_each_format_as_gensim_writes_it(keyed, tmp_path, name, options, packed):
    file = tmp_path / (name + packed)
    keyed.save_word2vec_format(str(file), **options)
    words = WordVectorTransformer(file, size=50).fit(TEXTS)
    assert words.words_ == keyed.key_to_index
    np.testing.assert_array_equal(words.vectors_, keyed.vectors)
    assert (words.vectors_.dtype, words.n_epochs_) == (np.float32, 0)
    np.testing.assert_allclose(words.transform(TEXTS), BY_HAND, atol=1e-6)
    rows = words.transform(["play zoë", "music music play"])
    np.testing.assert_allclose(rows[0], keyed.get_mean_vector(["play", "zoë"], pre_normalize=False), atol=1e-6)
    expected = keyed.get_mean_vector(["music", "music", "play"], pre_normalize=False)
    np.testing.assert_allclose(rows[1], expected, atol=1e-6)


def test_what_other_writers_do(tmp_path):
    numbers = np.array([[1, 2], [3, 4]], "<f4")
    files = {
        "c.bin": b"2 2\na "
        + numbers[0].tobytes()
        + b"\nb "
        + numbers[1].tobytes()
        + b"\n",  # word2vec.c ends each word's numbers with a line end
        "c.txt": b"2 2\na 1.0 2.0 \nb 3.0 4.0 \n\n",  # and has a space before it
        "windows.txt": b"\xef\xbb\xbf2 2\r\na 1 2\r\nb 3e0 4\r\n",
        "twice.txt": b"a 1 2\nb 3 4\na 5 6\n",
        "no_end.txt": b"a 1 2\nb 3 4",
    }
    for name, content in files.items():
        words, vectors = read_word_vectors(written(tmp_path / name, content))
        assert words == {"a": 0, "b": 1}, name
        np.testing.assert_array_equal(vectors, numbers)


def test_words_with_spaces_and_numbers_as_words(tmp_path):
    """As in glove.840B.300d.txt, which has words such as ". . ." and "at name@domain.com"."""
    lines = ". . . 1 2\nat name@domain.com 3 4\n5 6 7\n\xa0 8 9\nplay -1e-3 .5\n"
    words, vectors = read_word_vectors(written(tmp_path / "glove.txt", lines))
    assert list(words) == [". . .", "at name@domain.com", "5", "\xa0", "play"]
    np.testing.assert_allclose(vectors[[0, 2, 4]], [[1, 2], [6, 7], [-0.001, 0.5]])


def test_limit_takes_the_top(keyed, tmp_path):
    for name, options in (("v.txt", {}), ("v.bin", {"binary": True}), ("g.txt", {"write_header": False})):
        keyed.save_word2vec_format(str(tmp_path / name), **options)
        for limit, expected in ((2, 2), (4, 4), (9, 4), (None, 4)):
            words = WordVectorTransformer(tmp_path / name, limit=limit).fit(TEXTS)
            assert list(words.words_) == list(WORDS)[:expected]
            assert words.vectors_.shape == (expected, 3)


TWO = np.array([1, 2], "<f4").tobytes()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("v.txt", "", "FILE is empty: expected word vectors"),
        ("v.txt", "0 3\n", "FILE holds no word: expected word vectors"),
        (
            "table.txt", "text,intent\nplay,music\n",
            "FILE, line 1: expected a word and its numbers, parted by spaces, got 'text,intent': it is no file of word "
            "vectors",
        ),
        (
            "garbage.txt", b"\x00\x01\xff\xfe garbage",
            "FILE, line 1: expected a word and its numbers, parted by spaces, got '\\x00\\x01�� garbage': it is no "
            "file of word vectors",
        ),
        (
            "v.txt", "a 1 2 3\nb 1 2\nc 1 2 3\n",
            "FILE, line 2: expected a word and 3 numbers, parted by spaces, but 'b 1 2' ends with 2",
        ),
        (
            "v.txt", "2 3\na 1 2 3\nb 1 2 3 4\n",
            "FILE, line 3: expected a word and 3 numbers, parted by spaces, but 'b 1 2 3 4' ends with 4",
        ),
        (
            "v.vec", "2 1\na 1\nb\n",
            "FILE, line 3: expected a word and 1 numbers, parted by spaces, but 'b' ends with 0",
        ),
        (
            "v.txt", "2 3\n\na 1 x 3\n",
            "FILE, line 3: expected a word and 3 numbers, parted by spaces, but 'a 1 x 3' ends with 1",
        ),
        (
            "v.txt", "a" * 99 + " 1 2\nb 1 2 " + "3 " * 99,
            f"FILE, line 2: expected a word and 2 numbers, parted by spaces, but 'b 1 2 {'3 ' * 25}3...' ends with 101",
        ),
        (
            "v.txt", "3 2\na 1 2\nb 1 2\n",
            "FILE: its first line says 3 words, but 2 follow: it is cut short; fetch it again",
        ),
        (
            "v.txt.gz", "1 2\na 1 2\nb 1 2\n",
            "FILE: its first line says 1 words, but more follow: mend that line, or fetch the file again",
        ),
        ("v.txt", "a 1 2\nb nan 2\n", "FILE: the vector of 'b' holds a number that is not finite; fetch it again"),
        ("v.txt", "a 1 2\nb 1e300 2\n", "FILE: the vector of 'b' holds a number that is not finite; fetch it again"),
        ("v.txt", "2 0\na\nb\n", "FILE: its first line says 0 numbers a word: expected 1 to 10000"),
        ("v.bin", "9 999999999999\na", "FILE: its first line says 999999999999 numbers a word: expected 1 to 10000"),
        (
            "v.txt", "zoë 1 2\n".encode("latin-1"),
            "FILE, line 1 is not UTF-8: save the file as UTF-8, or call it .bin if it is word2vec's binary format",
        ),
        (
            "v.txt", b"1 2\na " + np.array([1.7, -2.3], "<f4").tobytes(),
            "FILE, line 2 is not UTF-8: save the file as UTF-8, or call it .bin if it is word2vec's binary format",
        ),
        (
            "v.bin", "play 1 2 3\n",
            "FILE: expected a first line with the number of words and of numbers a word, got 'play 1 2 3': it is not "
            "word2vec's binary format (fastText's own .bin isn't either: take its .vec)",
        ),
        (
            "v.bin.gz", "1 4\nplay 1.25 2.25 3.25 4.25\n",
            "FILE holds lines of text, not word2vec's binary format: call it .txt",
        ),
        (
            "v.bin", b"2 2\na " + TWO + b"b " + TWO[:5],
            "FILE, word 2: expected a word, a space and 2 numbers of 4 bytes, but it ends after 5 bytes: it is cut "
            "short or not word2vec's binary format; fetch it again",
        ),
        (
            "v.bin", b"2 2\na " + TWO + b"bcd",
            "FILE, word 2: expected a word, a space and 2 numbers of 4 bytes, but it ends after 0 bytes: it is cut "
            "short or not word2vec's binary format; fetch it again",
        ),
        (
            "v.bin", b"3 2\na " + TWO + b"b " + TWO,
            "FILE: its first line says 3 words, but 2 follow: it is cut short; fetch it again",
        ),
        (
            "v.bin", b"1 2\na " + TWO + b"\nb " + TWO,
            "FILE: its first line says 1 words, but more follow: mend that line, or fetch the file again",
        ),
        (
            "v.bin", b"1 2\n\xff\xfe " + TWO,
            "FILE, word 1: '��' is not UTF-8: it is damaged or not word2vec's binary format",
        ),
        (
            "v.bin", b"1 2\na " + np.array([1, np.inf], "<f4").tobytes(),
            "FILE: the vector of 'a' holds a number that is not finite; fetch it again",
        ),
    ],
)  # fmt: skip
def test_files_that_are_no_vectors(tmp_path, name, content, message):
    file = written(tmp_path / name, content)
    with pytest.raises(CheckpointError) as caught:
        WordVectorTransformer(file).fit(TEXTS)
    assert str(caught.value) == message.replace("FILE", str(file))


def test_packed_files_that_are_damaged(keyed, tmp_path):
    file = tmp_path / "v.bin.gz"
    file.write_bytes(b"4 3\nno gzip")
    with pytest.raises(CheckpointError, match=r"v.bin.gz can't be unpacked \(Not a gzipped file \(b'4 '\)\): fetch it"):
        WordVectorTransformer(file).fit(TEXTS)
    keyed.save_word2vec_format(str(file), binary=True)
    file.write_bytes(file.read_bytes()[:-12])
    with pytest.raises(CheckpointError, match=r"v.bin.gz can't be unpacked \(Compressed file ended .*\): fetch it aga"):
        WordVectorTransformer(file).fit(TEXTS)


def test_a_pickle_is_never_read(keyed, tmp_path):
    keyed.save(str(tmp_path / "v.kv"))
    (tmp_path / "v.kv").rename(tmp_path / "v.txt")
    keyed.save(str(tmp_path / "v.kv"))
    written(tmp_path / "v.bin.gz", pickle.dumps(WORDS))
    for name in ("v.kv", "v.txt", "v.bin.gz"):
        message = (
            f"{tmp_path / name} is a pickle, gensim's own format, which can run code when it is read: save its vectors "
            "with KeyedVectors.save_word2vec_format('vectors.txt') and give that file"
        )
        with pytest.raises(SettingsError, match=f"^{re.escape(message)}$"):
            WordVectorTransformer(tmp_path / name).fit(TEXTS)


def test_paths_that_lead_to_no_file_of_vectors(tmp_path, glove):
    for path, message in {
        tmp_path: f"{tmp_path} is a folder: name the file of word vectors in it",
        tmp_path / "none.txt": f"the file of word vectors {tmp_path / 'none.txt'} can't be read: No such file or "
        "directory",
        glove.rename(tmp_path / "v.zip"): f"{tmp_path / 'v.zip'} should be called .txt or .vec (lines of text) or .bin "
        "(word2vec's binary format), each also with .gz: rename it, or save the vectors in one of these formats",
    }.items():
        with pytest.raises(SettingsError, match=f"^{re.escape(message)}$"):
            WordVectorTransformer(path).fit(TEXTS)
