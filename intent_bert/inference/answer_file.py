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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from intent_bert.config import TEXT
from intent_bert.data.rows import RowReader
from intent_bert.errors import DataError, SettingsError
from intent_bert.inference.predictor import CHUNK, IntentPredictor

logger = logging.getLogger("intent_bert")

OUTPUT_FORMATS = (".csv", ".tsv", ".jsonl")

Ranking = Sequence[Any]  # of Answer, the likeliest first; empty for a text without a word


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
    rows: RowReader,
    output: Path,
    *,
    text_column: str = TEXT,
    top_k: int = 1,
    resume: bool = False,
    progress: bool = True,
) -> int:
    """Answer every sentence of a file into another: ``.jsonl`` (as ``predict --json``), ``.csv`` or ``.tsv``.

    Memory does not grow with the file. ``text_column`` is the column with the sentences, ``top_k`` how many intents a
    JSON line ranks.

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
    rows.require(text_column)
    rows.select(text_column)
    digest, texts = hashlib.sha256(), (row.values[text_column] for row in rows.with_text(text_column))
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
            if problem is not None and not done.rows:
                run.partial.unlink()
                raise problem
            if problem is not None:
                raise DataError(f"{problem} ({done.rows:,} answers are kept: mend the row and go on with --resume)")
            if len(chunk) < CHUNK:
                break
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
