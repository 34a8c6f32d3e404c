"""Lines of text files: their ends, bytes that are no UTF-8, and lines and disks that go wrong."""

from pathlib import Path
from typing import Any

import pytest

from intent_bert.data import lines
from intent_bert.data.lines import TextFile, bad_byte
from intent_bert.errors import DataError, DiskError


def write(folder: Path, content: bytes) -> Path:
    path = folder / "a.csv"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"a", ["a"]),
        (b"\xef\xbb\xbfa\r\n\nb\rc\n", ["a\r\n", "\n", "b\rc\n"]),
        (b"a\rb\r\rc", ["a\r", "b\r", "\r", "c"]),
        ("a\u2028\x0b\x85b\n".encode(), ["a\u2028\x0b\x85b\n"]),
    ],
)
@pytest.mark.parametrize("block", [1, 2, 3, 1 << 16])
def test_lines_keep_their_ends_whatever_the_blocks(tmp_path, monkeypatch, content, expected, block):
    monkeypatch.setattr(lines, "BLOCK", block)
    file = TextFile(write(tmp_path, content))
    assert list(file.lines()) == expected
    assert (file.position, file.suspect) == (len(content), False)


def test_a_byte_that_is_no_utf8_is_found_again(tmp_path):
    file = TextFile(write(tmp_path, b"good\n\xe9\xf0\x9f\n\xed\xa0\x80\n"))
    assert [bad_byte(line) for line in file.lines()] == [None, "0xE9", "0xED"]
    assert file.suspect


def test_a_line_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("intent_bert.data.lines.LONGEST_LINE", 1 << 18)
    path = write(tmp_path, b"text\n" + b"a" * (1 << 20) + b"\n")
    with pytest.raises(DataError) as caught:
        list(TextFile(path).lines())
    assert str(caught.value) == f"{path} has a line of more than 262,144 bytes: expected a table"


def test_a_disk_that_fails_while_reading(tmp_path, monkeypatch):
    path = write(tmp_path, b"text\n")

    def fail(*_: Any) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(DiskError) as caught:
        list(TextFile(path).lines())
    assert str(caught.value) == f"can't read {path}: Input/output error"
