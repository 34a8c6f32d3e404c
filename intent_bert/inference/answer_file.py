"""Answers for a file of any length: read, answered and written a chunk at a time, in order, in bounded memory.

    sentences.csv -> 4,096 rows -> IntentPredictor -> answers.jsonl.partial ... -> answers.jsonl
                                                     answers.jsonl.progress: how many rows and bytes are whole

The output appears under its own name when it is whole. A run that was killed, or that a broken row stopped, goes on
with ``resume`` behind the last whole chunk: no row is lost, none is answered twice.
"""

import csv
import hashlib
import io
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from intent_bert.config import TEXT
from intent_bert.errors import DataError, SettingsError
from intent_bert.inference.predictor import CHUNK, IntentPredictor

logger = logging.getLogger("intent_bert")

FORMATS = (".csv", ".tsv", ".jsonl", ".parquet")
OUTPUT_FORMATS = (".csv", ".tsv", ".jsonl")
ON_ERROR = ("stop", "skip")
_LONGEST_FIELD = 1 << 24  # characters in a cell; the csv module's own limit is 128 KB

Ranking = Sequence[Any]  # of Answer, the likeliest first; empty for a text without a word


# --- reading -----------------------------------------------------------------------------------------------------


@dataclass
class Rows:
    """The sentences of a file, one after the other, with what is wrong with some.

    Iterating gives texts. A row that holds none raises DataError with its number, or with ``on_error="skip"`` is
    counted in ``skipped`` and left out. ``position`` is how many bytes have been read, of ``size``.
    """

    path: Path
    text_column: str = TEXT
    on_error: str = "stop"
    skipped: list[int] = field(default_factory=list)
    position: int = 0
    size: int = 0

    def __post_init__(self) -> None:
        if self.on_error not in ON_ERROR:
            raise SettingsError(f"on_error must be stop or skip, not {self.on_error!r}")
        if self.path.is_dir():
            raise DataError(f"expected a file, but {self.path} is a folder")
        if not self.path.exists():
            raise DataError(f"no such file: {self.path}")
        if self.path.suffix.lower() not in FORMATS:
            raise DataError(f"can't tell how to read {self.path}: expected one of {', '.join(FORMATS)}")
        self.size = self.path.stat().st_size

    def __iter__(self) -> Iterator[str]:
        kind = self.path.suffix.lower()
        readers: dict[str, Callable[[], Iterator[tuple[int, Any]]]] = {
            ".csv": self._separated, ".tsv": self._separated, ".jsonl": self._json_lines, ".parquet": self._parquet,
        }  # fmt: skip
        with closing(readers[kind]()) as rows:  # type: ignore[type-var]
            for number, value in rows:
                problem = value if isinstance(value, DataError) else self._problem(number, value)
                if problem is None:
                    yield value
                elif self.on_error == "stop":
                    raise problem
                else:
                    self.skipped.append(number)

    def _problem(self, number: int, value: Any) -> DataError | None:
        place = f"{self.path}, row {number}, column {self.text_column!r}"
        if value is None or (isinstance(value, str) and not value.strip()):
            return DataError(f"{place}: the text is empty; fill it in, or go on with --on-error skip")
        if not isinstance(value, str):
            return DataError(f"{place}: expected text, found {value!r}; mend it, or go on with --on-error skip")
        return None

    def _lines(self) -> Iterator[tuple[int, str | DataError]]:
        try:
            with self.path.open("rb") as stream:
                for number, line in enumerate(stream, start=1):
                    self.position += len(line)
                    try:
                        yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
                    except UnicodeDecodeError as error:
                        byte = line[error.start]
                        yield number, DataError(f"{self.path}, line {number}: byte 0x{byte:02X} is not UTF-8")
        except OSError as error:
            raise DataError(f"can't read {self.path}: {error.strerror}") from None

    def _json_lines(self) -> Iterator[tuple[int, Any]]:
        for number, line in self._lines():
            if isinstance(line, DataError):
                yield number, line
            elif line.strip():
                try:
                    row = json.loads(line)
                except ValueError as error:
                    yield number, DataError(f"{self.path}, line {number}: not valid JSON ({error})")
                    continue
                if not isinstance(row, dict) or self.text_column not in row:
                    yield number, DataError(f"{self.path}, line {number}: expected an object with {self.text_column!r}")
                else:
                    yield number, row[self.text_column]

    def _separated(self) -> Iterator[tuple[int, Any]]:
        """Rows as a spreadsheet numbers them: 1 is the header."""
        broken: list[DataError] = []

        def lines() -> Iterator[str]:
            for _, line in self._lines():
                if isinstance(line, DataError):
                    broken.append(line)
                    yield "\ufffd\n"  # its row is told below
                else:
                    yield line

        csv.field_size_limit(_LONGEST_FIELD)
        reader = csv.reader(lines(), delimiter="\t" if self.path.suffix.lower() == ".tsv" else ",")
        header = [name.strip() for name in next(reader, [])]
        if broken:
            raise broken[0]
        if not header:
            raise DataError(f"{self.path} is empty: expected a header and rows")
        if self.text_column not in header:
            there = ", ".join(header)
            raise DataError(
                f"{self.path} has no column {self.text_column!r}; it has: {there} (name one with --text-column)"
            )
        column, number = header.index(self.text_column), 1
        while True:
            number += 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield number, DataError(f"{self.path}, row {number}: {error}")
                continue
            if broken:
                yield number, broken[0]
                broken.clear()
            elif len(row) > len(header) or (len(row) < len(header) and row):
                yield (
                    number,
                    DataError(
                        f"{self.path}, row {number} has {len(row)} fields, the header has {len(header)}; quote "
                        "fields that hold a separator or a quote"
                    ),
                )
            elif row:
                yield number, row[column]

    def _parquet(self) -> Iterator[tuple[int, Any]]:
        try:
            import pyarrow.parquet
        except ImportError:
            raise DataError(f"reading {self.path} needs pyarrow: pip install pyarrow") from None
        try:
            with pyarrow.parquet.ParquetFile(self.path) as file:
                if self.text_column not in file.schema_arrow.names:
                    there = ", ".join(file.schema_arrow.names)
                    raise DataError(
                        f"{self.path} has no column {self.text_column!r}; it has: {there} (name one with --text-column)"
                    )
                number, rows = 0, max(file.metadata.num_rows, 1)
                for batch in file.iter_batches(CHUNK, columns=[self.text_column]):
                    for value in batch.column(0).to_pylist():
                        yield number, value
                        number += 1
                    self.position = self.size * number // rows
        except pyarrow.ArrowException as error:
            reason = str(error).splitlines()[0]
            raise DataError(f"{self.path} is not a readable Parquet file: {reason}") from None


# --- writing -----------------------------------------------------------------------------------------------------


def as_json(text: str, ranking: Ranking) -> str:
    """One JSON object: text, intent, confidence and the ranking."""
    names = [{"name": answer.intent, "confidence": round(answer.confidence, 6)} for answer in ranking]
    best = names[0] if names else {"name": None, "confidence": 0.0}
    answer = {"text": text, "intent": best["name"], "confidence": best["confidence"], "intent_ranking": names}
    return json.dumps(answer, ensure_ascii=False)


def _as_row(text: str, ranking: Ranking, separator: str) -> str:
    best = ranking[0] if ranking else None
    line = io.StringIO(newline="")
    cells = (text, best.intent if best else "", f"{best.confidence:.6f}" if best else "0.000000")
    csv.writer(line, delimiter=separator, lineterminator="\n").writerow(cells)
    return line.getvalue()


def score_file(
    predictor: IntentPredictor,
    rows: Rows,
    output: Path,
    *,
    top_k: int = 1,
    resume: bool = False,
    progress: bool = True,
) -> int:
    """Answer every sentence of a file into another: ``.jsonl`` (as ``predict --json``), ``.csv`` or ``.tsv``.

    Memory does not grow with the file. ``top_k`` is how many intents a JSON line ranks.

    Returns:
        How many sentences are answered in the output.

    Raises:
        SettingsError: the output is there already or can't be written, or the rows answered before have changed.
        DataError: a broken row; what was answered before it is kept for ``resume``.
    """
    if top_k < 1:
        raise SettingsError(f"top_k must be at least 1, not {top_k}")
    from intent_bert.files.progress import progress_bar  # a single answer on the command line does without

    run = _UnfinishedScores(output, top_k)
    done = run.open(resume)
    digest, texts = hashlib.sha256(), iter(rows)
    for text in islice(texts, done.rows):
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    if digest.hexdigest() != done.sha256:
        raise SettingsError(
            f"the first {done.rows:,} rows of {rows.path} are not those that {run.partial} answers: delete that file "
            f"and {run.progress.name} to start from the beginning"
        )
    if done.rows:
        logger.info("going on behind %s answers", f"{done.rows:,}")
    with run.writer(done) as stream, progress_bar(
        rows.size, f"answering {rows.path.name}" if progress else None, "B", unit_scale=True, initial=rows.position
    ) as bar:  # fmt: skip
        while True:
            chunk, problem = _chunk(texts)
            if chunk:
                content = run.format(chunk, predictor.predict(chunk, top_k=top_k))
                for text in chunk:
                    digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
                done.rows += len(chunk)
                run.keep(stream, content, done, digest.hexdigest())
                bar.set_postfix_str(f"{done.rows:,} sentences", refresh=False)
                bar.update(rows.position - bar.n)
            if problem is not None:
                raise DataError(f"{problem} ({done.rows:,} answers are kept: mend the row and go on with --resume)")
            if len(chunk) < CHUNK:
                break
    if not done.rows:
        run.partial.unlink()
        raise DataError(f"{rows.path} holds no sentence: expected at least one row")
    run.finish()
    return done.rows


def _chunk(texts: Iterator[str]) -> tuple[list[str], DataError | None]:
    """The next texts, and what ended them early."""
    chunk: list[str] = []
    try:
        for text in islice(texts, CHUNK):
            chunk.append(text)
    except DataError as error:
        return chunk, error
    return chunk, None


@dataclass
class _Done:
    """What is whole in the partial output."""

    rows: int = 0
    bytes: int = 0
    sha256: str = hashlib.sha256().hexdigest()  # of the texts


class _UnfinishedScores:
    """The partial output and its progress file, beside the place of the output."""

    def __init__(self, output: Path, top_k: int) -> None:
        if output.suffix.lower() not in OUTPUT_FORMATS:
            raise SettingsError(f"can't tell how to write {output}: expected one of {', '.join(OUTPUT_FORMATS)}")
        self.output, self.top_k = output, top_k
        self.partial = output.with_name(f"{output.name}.partial")
        self.progress = output.with_name(f"{output.name}.progress")

    def open(self, resume: bool) -> _Done:
        if self.output.exists():
            raise SettingsError(f"{self.output} is there already: name another file, or delete it")
        if not resume and self.progress.exists():
            raise SettingsError(
                f"{self.partial} is left of a run that was stopped: go on with --resume, or delete it and "
                f"{self.progress.name}"
            )
        if not self.progress.exists():
            return _Done()
        try:
            values = json.loads(self.progress.read_text(encoding="utf-8"))
            top_k = values.pop("top_k")
            done = _Done(**values)
        except (OSError, ValueError, TypeError, KeyError):
            raise SettingsError(
                f"{self.progress} is damaged: delete it and {self.partial.name} to start again"
            ) from None
        if top_k != self.top_k:
            raise SettingsError(f"the run that was stopped had top_k={top_k}, not {self.top_k}: go on with the same")
        if not self.partial.exists() or self.partial.stat().st_size < done.bytes:
            raise SettingsError(f"{self.partial} is shorter than it was: delete {self.progress} to start again")
        return done

    def writer(self, done: _Done) -> Any:
        try:
            stream = self.partial.open("r+b" if done.rows else "wb")
            stream.truncate(done.bytes)  # what was written behind the last whole chunk
            stream.seek(done.bytes)
        except OSError as error:
            raise SettingsError(f"can't write to {self.output.parent}: {error.strerror}") from None
        return stream

    def format(self, texts: list[str], rankings: Sequence[Ranking]) -> bytes:
        pairs = zip(texts, rankings, strict=True)
        if self.output.suffix.lower() == ".jsonl":
            lines = [as_json(text, ranking) + "\n" for text, ranking in pairs]
        else:
            separator = "\t" if self.output.suffix.lower() == ".tsv" else ","
            lines = [_as_row(text, ranking, separator) for text, ranking in pairs]
            if not self.progress.exists():
                lines.insert(0, separator.join(("text", "intent", "confidence")) + "\n")
        return "".join(lines).encode("utf-8", "backslashreplace")

    def keep(self, stream: Any, content: bytes, done: _Done, sha256: str) -> None:
        """Write a chunk; it is whole from here on."""
        try:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
            done.bytes, done.sha256 = stream.tell(), sha256
            new = self.progress.with_name(f"{self.progress.name}.new")
            new.write_text(json.dumps({**vars(done), "top_k": self.top_k}), encoding="utf-8")
            new.replace(self.progress)
        except OSError as error:
            raise SettingsError(
                f"can't write to {self.output.parent}: {error.strerror}; what was answered before is kept for --resume"
            ) from None

    def finish(self) -> None:
        self.partial.replace(self.output)
        self.progress.unlink(missing_ok=True)
