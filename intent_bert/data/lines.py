"""The lines of a text file in bounded memory, whatever wrote it: the bytes under csv, tsv and JSON lines.

    b"\\xef\\xbb\\xbftext,intent\\r\\nplay,music\\r\\n"  ->  ["text,intent\\r\\n", "play,music\\r\\n"]

A line keeps its end. A byte that is not UTF-8 becomes one of the characters U+DC80 to U+DCFF, so that only the row that
holds it is lost; ``bad_byte`` finds it again. What a line means is the business of ``rows``.
"""

import io
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from intent_bert.errors import DataError, DiskError, reason

BLOCK = 1 << 16  # bytes that are read at a time
LONGEST_LINE = 1 << 26  # bytes

_BAD_BYTE = re.compile("[\udc80-\udcff]")


@dataclass
class TextFile:
    """A text file to read line by line.

    Attributes:
        path: the file.
        position: how many bytes have been read.
        suspect: whether a byte that is not UTF-8 has been met.
    """

    path: Path
    position: int = field(default=0, init=False)
    suspect: bool = field(default=False, init=False)

    def blocks(self) -> Generator[list[str], None, None]:
        """The lines in order, some at a time.

        A line ends with a line feed; in a file that has none, with a carriage return, as old Macs wrote it.

        Raises:
            DataError: the file is UTF-16, or a line is longer than ``LONGEST_LINE``.
            DiskError: the file can't be read.
        """
        self.position = 0
        try:
            with self.path.open("rb") as stream:
                first = True
                end = self._line_end(stream)
                for content in self._whole_lines(stream, end):
                    text = self._decoded(content)
                    if first:
                        text, first = text.removeprefix("\ufeff"), False
                    yield io.StringIO(text, newline=end.decode()).readlines()
        except OSError as error:
            raise DiskError(f"can't read {self.path}: {reason(error)}") from None

    def lines(self) -> Iterator[str]:
        """The lines one by one."""
        for block in self.blocks():
            yield from block

    def _line_end(self, stream: BinaryIO) -> bytes:
        """How lines end; leaves the stream at its beginning."""
        returns = False
        block = stream.read(BLOCK)
        if _is_utf16(block):
            raise DataError(f"{self.path} is UTF-16; save the file as UTF-8")
        while block and b"\n" not in block:
            returns |= b"\r" in block
            block = stream.read(BLOCK)
        stream.seek(0)
        return b"\n" if block or not returns else b"\r"

    def _whole_lines(self, stream: BinaryIO, end: bytes) -> Iterator[bytes]:
        begun: list[bytes] = []  # a line that the last block cut
        while block := stream.read(BLOCK):
            self.position += len(block)
            cut = block.rfind(end) + 1
            if cut:
                yield b"".join([*begun, block[:cut]])
                begun = []
            begun.append(block[cut:])
            if len(begun) * BLOCK > LONGEST_LINE:
                raise DataError(f"{self.path} has a line of more than {LONGEST_LINE:,} bytes: expected a table")
        if any(begun):
            yield b"".join(begun)

    def _decoded(self, content: bytes) -> str:
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            self.suspect = True
            return content.decode("utf-8", "surrogateescape")


def bad_byte(text: str) -> str | None:
    """The first byte of a decoded text that was not UTF-8, as it is written: ``0xFF``."""
    found = None if text.isascii() else _BAD_BYTE.search(text)
    return f"0x{ord(found[0]) - 0xDC00:02X}" if found else None


def _is_utf16(start: bytes) -> bool:
    """Told by its mark, or where that is missing by the zeros that ASCII has in it."""
    zeros = [byte == 0 for byte in start[:4]]
    return start[:2] in (b"\xff\xfe", b"\xfe\xff") or zeros in ([False, True] * 2, [True, False] * 2)
