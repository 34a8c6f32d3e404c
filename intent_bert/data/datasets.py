"""Data sets by name or by folder: the sample that ships with the package, SNIPS, any folder of tables.

``load`` gives the tables of one data set, ``known`` lists what there is, ``download`` fetches and converts
SNIPS. How a single table is read is ``tables``' work; nothing here knows about tokens or models.
"""

import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from intent_bert.config import INTENT, DataSettings, TrainingConfig
from intent_bert.data.rows import RowReader
from intent_bert.errors import DataError, DownloadError, SettingsError, nearest
from intent_bert.files.atomic import atomic_folder
from intent_bert.files.cache import data_folder
from intent_bert.files.downloads import download_file, reason_of
from intent_bert.files.progress import progress_bar
from intent_bert.files.tables_out import csv_text

if TYPE_CHECKING:
    from pandas import DataFrame

logger = logging.getLogger("intent_bert")

SHIPPED = Path(__file__).parent / "shipped"
SHIPPED_NAMES = ("sample", "sentiment")
SUFFIXES = ("csv", "tsv", "jsonl", "parquet")
STEMS = {"train": ("train",), "validation": ("validation", "valid", "dev"), "test": ("test",)}

SNIPS_INTENTS = (
    "AddToPlaylist",
    "BookRestaurant",
    "GetWeather",
    "PlayMusic",
    "RateBook",
    "SearchCreativeWork",
    "SearchScreeningEvent",
)
SNIPS_COMMIT = "b86ac7f1577868c42158d0dec77db50956046696"
# The folder that holds <Intent>/train_<Intent>_full.json; INTENT_BERT_DATA_URL names a mirror of it.
SNIPS_URL = f"https://raw.githubusercontent.com/sonos/nlu-benchmark/{SNIPS_COMMIT}/2017-06-custom-intent-engines"

_ADVICE = "try again later, or give a folder of your own (--data DIR)"


@dataclass(frozen=True)
class Splits:
    """The tables of one data set, each with the columns ``text`` and ``intent``."""

    name: str
    train: "DataFrame"
    validation: "DataFrame | None"
    test: "DataFrame | None"
    source: Path


@dataclass(frozen=True)
class KnownDataset:
    """One line of ``intent-bert datasets``."""

    name: str
    what: str
    where: str  # a folder, or "not downloaded"
    licence: str


@dataclass(frozen=True)
class _SnipsTable:
    source: str  # the file name in each intent's folder
    rows: int
    sha256: str


_SNIPS = {
    "train.csv": _SnipsTable(
        "train_{intent}_full.json", 13_784, "d8551e41dd0d7b62374fbdd6ca6932567dd29f2438209713e3a4d0850e4cd1ae"
    ),
    "train_small.csv": _SnipsTable(
        "train_{intent}.json", 2_100, "7a26749f411a721067dcc76e29a003a1a9e5fbbe019d556799f752da3069bc2d"
    ),
    "test.csv": _SnipsTable(
        "validate_{intent}.json", 700, "8369f914c2dd285fa051baec00a0b9bff89214267bd3324931505aa51962855e"
    ),
}
_TUTORIAL = {  # file -> (id on Google Drive, rows)
    "train.csv": ("1OlcvGWReJMuyYQuOZm149vHWwPtlboR6", 13_084),
    "valid.csv": ("1Oi5cRlTybuIF2Fl5Bfsr-KkqrXrdt77w", 700),
    "test.csv": ("1ep9H6-HvhB4utJRLVcLzieWNUSG3P_uF", 700),
}
NAMED = {  # name -> (what, licence)
    "sample": ("sentences of the seven SNIPS intents, written for this package", "CC0-1.0"),
    "sentiment": ("390 short messages, positive, negative or neutral, written for this package", "CC0-1.0"),
    "snips": ("13,784 + 700 spoken commands, seven intents", "CC0-1.0"),
    "snips-tutorial": ("the same sentences as the tutorial splits them: 13,084 + 700 + 700", "CC0-1.0"),
}


# ------------------------------------------------------------------------------------- what callers use


def load(
    name_or_folder: str | Path,
    text_column: str = "text",
    label_column: str = "intent",
    label_separator: str | None = None,
) -> Splits:
    """The tables of a data set: "sample", "snips", a folder of the data folder, or any folder with a train file.

    SNIPS is downloaded when it is not there yet. A string that is a known name means that data set, even if a
    folder here is called the same (write ``./NAME`` for the folder).
    """
    from intent_bert.data.tables import read_table

    folder = _find(name_or_folder)
    tables = {
        split: read_table(file, text_column, label_column, label_separator)
        for split, file in split_files(folder).items()
    }
    name = name_or_folder if isinstance(name_or_folder, str) and name_or_folder in NAMED else folder.resolve().name
    return Splits(name, tables["train"], tables.get("validation"), tables.get("test"), folder)


def read_tables(config: DataSettings) -> "dict[str, DataFrame]":
    """The checked tables of a run: train, and validation, test and unknown where there are any."""
    from intent_bert.data.checks import check_label_types, check_tables
    from intent_bert.data.tables import read_table
    from intent_bert.data.unknown import UNKNOWN, divided, take_unknown

    separator = getattr(config, "separator_to_read", None)
    columns = (config.text_column, config.label_column, separator)
    if (config.data is None) == (config.train_file is None):
        raise SettingsError("say what to train on: either --data NAME or --train-file FILE, and not both")
    tables: dict[str, DataFrame | None]
    if config.data is not None:
        splits = load(config.data, *columns)
        tables = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    else:
        tables = {"train": read_table(str(config.train_file), *columns), "validation": None, "test": None}
    for name, file in (("validation", getattr(config, "validation_file", None)), ("test", config.test_file)):
        if file is not None:
            tables[name] = read_table(file, *columns)
    unknown = None
    if isinstance(config, TrainingConfig):
        tables, unknown = take_unknown(tables, config)
    assert tables["train"] is not None
    check_label_types(tables["train"])
    expected = None if getattr(config, "mix", 0) else separator  # of mixed sentences some have several labels anyhow
    test, _ = divided(tables["test"], getattr(config, "unknown_label", None))
    check_tables(tables["train"], tables["validation"], test, config.strict, expected)
    return {name: table for name, table in {**tables, UNKNOWN: unknown}.items() if table is not None}


def intent_counts(splits: Splits) -> "DataFrame":
    """How many texts each intent has: a row an intent (as text, in the order of the classes), a column a table.

    Raises:
        DataError: the labels of train are of several types.
    """
    import pandas as pd

    from intent_bert.data.checks import check_label_types
    from intent_bert.data.labels import classes_of

    check_label_types(splits.train)
    named = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    labels = {name: table[INTENT].astype(str) for name, table in named.items() if table is not None}
    known = [str(label) for label in classes_of(splits.train[INTENT])]
    unknown = {label for column in labels.values() for label in column} - set(known)
    counts = {name: column.value_counts() for name, column in labels.items()}
    return pd.DataFrame(counts, index=[*known, *sorted(unknown)]).fillna(0).astype(int)


def split_files(folder: Path) -> dict[str, Path]:
    """The files of a folder by split: ``train`` always, ``validation`` and ``test`` where there are any."""
    files: dict[str, Path] = {}
    for split, stems in STEMS.items():
        candidates = [folder / f"{stem}.{suffix}" for stem in stems for suffix in SUFFIXES]
        found = [file for file in candidates if file.is_file()]
        if len(found) > 1:
            names = " and ".join(file.name for file in found)
            raise DataError(f"{folder} should hold one {split} file, but holds {names}: move all but one elsewhere.")
        if found:
            files[split] = found[0]
    if "train" not in files:
        raise DataError(
            f"{folder} should hold a train file (train.{'|'.join(SUFFIXES)}), but has none: name yours so, "
            "or give the files one by one (--train-file)."
        )
    return files


def known() -> list[KnownDataset]:
    """The named data sets, then every other folder of the data folder that has a train file."""
    listed = []
    for name, (what, licence) in NAMED.items():
        folder = (SHIPPED if name in SHIPPED_NAMES else data_folder()) / name
        listed.append(KnownDataset(name, what, str(folder) if _has_train(folder) else "not downloaded", licence))
    for folder in _own_folders():
        listed.append(KnownDataset(folder.name, "a folder of the data folder", str(folder), _licence(folder)))
    return listed


def download(name: str, *, force: bool = False) -> Path:
    """The folder of a data set that can be fetched, fetched now if it is not there yet or ``force`` asks for it."""
    if name in SHIPPED_NAMES:
        return SHIPPED / name
    if name not in NAMED:
        raise SettingsError(
            f"'{name}' is not a data set that can be downloaded: did you mean '{nearest(name, NAMED)}' "
            "(`intent-bert datasets` lists them)?"
        )
    folder = data_folder() / name
    if _has_train(folder) and not force:
        return folder
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise DataError(
            f"{folder} should hold the data set {name}, but has no train file: delete that folder, or download "
            "with --force, which replaces it."
        )
    logger.info("Fetching %s into %s", name, folder)
    fill = _fetch_snips if name == "snips" else _fetch_tutorial
    with atomic_folder(folder, replace=force) as partial, tempfile.TemporaryDirectory(prefix="intent_bert-") as work:
        fill(Path(work), partial)
    return folder


# ------------------------------------------------------------------------------------------- where it lies


def _find(name_or_folder: str | Path) -> Path:
    if isinstance(name_or_folder, str):
        if name_or_folder in NAMED:
            return download(name_or_folder)
        bare = name_or_folder == Path(name_or_folder).name  # "mine", not "./mine"
        if bare and _has_train(data_folder() / name_or_folder):
            return data_folder() / name_or_folder
    folder = Path(name_or_folder).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise SettingsError(
            f"The data should be a name or a folder, but '{name_or_folder}' is a file: give its folder, "
            "or the file itself as --train-file."
        )
    if len(folder.parts) > 1:
        raise SettingsError(
            f"The data folder '{name_or_folder}' does not exist: check the path, or give a known name "
            "(`intent-bert datasets` lists them)."
        )
    names = [*NAMED, *(own.name for own in _own_folders())]
    raise SettingsError(
        f"'{name_or_folder}' is neither a folder nor a known data set: did you mean "
        f"'{nearest(str(name_or_folder), names)}' (`intent-bert datasets` lists them all)?"
    )


def _has_train(folder: Path) -> bool:
    return any((folder / f"train.{suffix}").is_file() for suffix in SUFFIXES)


def _own_folders() -> list[Path]:
    try:
        folders = sorted(data_folder().iterdir())
    except OSError:  # not there yet, or not ours to read
        return []
    return [folder for folder in folders if folder.name not in NAMED and folder.name[0] != "." and _has_train(folder)]


def _licence(folder: Path) -> str:
    """The line "Licence: ..." of a folder's SOURCE.txt, up to its first full stop, bracket or semicolon."""
    source = folder / "SOURCE.txt"
    if source.is_file():
        found = re.search(r"(?mi)^licen[cs]e: *(.+)$", source.read_text(encoding="utf-8", errors="replace"))
        if found:
            return re.split(r" \(|; |\. |\.$", found.group(1))[0].strip()
    return "see LICENSE there" if (folder / "LICENSE").is_file() else "not stated"


# -------------------------------------------------------------------------------------------------- SNIPS


def _fetch_snips(work: Path, destination: Path) -> None:
    """Seven intents times three JSON files become three CSV files, checked row for row by their sha256."""
    base = os.environ.get("INTENT_BERT_DATA_URL", "").rstrip("/") or SNIPS_URL
    with progress_bar(len(_SNIPS) * len(SNIPS_INTENTS), "snips", "file") as bar:
        for name, table in _SNIPS.items():
            rows: list[tuple[str, str]] = []
            for intent in SNIPS_INTENTS:
                source = table.source.format(intent=intent)
                url = f"{base}/{intent}/{source}"
                download_file(url, work / source, advice=_ADVICE)
                rows += [(text, intent) for text in _snips_texts((work / source).read_bytes(), intent, url)]
                bar.update()
            content = csv_text([("text", "intent"), *rows]).encode()
            _check_rows(f"{base} ({table.source})", rows, table.rows)
            digest = hashlib.sha256(content).hexdigest()
            if digest != table.sha256:
                raise DownloadError(
                    f"{base} should give a {name} with the sha256 {table.sha256}, but gave {digest}: {_ADVICE}."
                )
            (destination / name).write_bytes(content)
    _write_notes(destination, f"{base}\nOriginal: github.com/sonos/nlu-benchmark, commit {SNIPS_COMMIT}", _CONVERSION)


def _snips_texts(raw: bytes, intent: str, url: str) -> list[str]:
    """The sentences of one file, ``{intent: [{"data": [{"text": chunk}, ...]}, ...]}``, in its order."""
    try:
        # One file holds an emoji as two encoded surrogates (CESU-8), which only this way become one character.
        text = raw.decode("utf-8", errors="surrogatepass").encode("utf-16", errors="surrogatepass").decode("utf-16")
        utterances = json.loads(text)[intent]
        sentences = ["".join(chunk["text"] for chunk in utterance["data"]) for utterance in utterances]
    except (ValueError, KeyError, TypeError) as error:
        raise DownloadError(
            f"{url} should hold the sentences of {intent} as JSON, but can't be read so "
            f"({type(error).__name__}: {error}): {_ADVICE}."
        ) from error
    return [" ".join(sentence.split()) for sentence in sentences]


def _check_rows(source: str, rows: list[tuple[str, str]], expected: int) -> None:
    if len(rows) != expected:
        raise DownloadError(f"{source} should hold {expected:,} sentences, but holds {len(rows):,}: {_ADVICE}.")
    intents = {intent for _, intent in rows}
    if intents != set(SNIPS_INTENTS):
        odd = ", ".join(sorted(intents ^ set(SNIPS_INTENTS)))
        raise DownloadError(f"{source} should hold the seven SNIPS intents, but differs in {odd}: {_ADVICE}.")


# ------------------------------------------------------------------------------------ the tutorial's split


def _fetch_tutorial(work: Path, destination: Path) -> None:
    with progress_bar(len(_TUTORIAL), "snips-tutorial", "file") as bar:
        for name, (file_id, expected) in _TUTORIAL.items():
            _drive_download(file_id, work / name)
            rows = _tutorial_rows(work / name)
            _check_rows(f"The tutorial's {name} on Google Drive (id {file_id})", rows, expected)
            shutil.copyfile(work / name, destination / name)
            bar.update()
    ids = ", ".join(f"{name} {file_id}" for name, (file_id, _) in _TUTORIAL.items())
    _write_notes(destination, f"Google Drive ({ids})", "Conversion: none; the files are as downloaded.")


def _tutorial_rows(file: Path) -> list[tuple[str, str]]:
    try:
        reader = RowReader(file)
        reader.require("text")
        reader.require("intent", "label")
        return [(row.values["text"], row.values["intent"]) for row in reader]
    except DataError as error:
        raise DownloadError(
            f"The tutorial's {file.name} should be a table with the columns text and intent, but it is not "
            f"({error}): {_ADVICE}."
        ) from error


def _drive_download(file_id: str, path: Path) -> None:
    """One file from Google Drive; the only place that needs gdown."""
    try:
        import gdown
    except ImportError as error:
        raise DownloadError(
            "Files on Google Drive are fetched with the package gdown, which is not installed: "
            "run `pip install gdown` and try again."
        ) from error
    try:
        written = gdown.download(id=file_id, output=str(path), quiet=True, use_cookies=False)
    except Exception as error:  # gdown raises its own errors, requests' and plain ones
        reason = " ".join(reason_of(error).split())[:200]
        raise DownloadError(
            f"The file {file_id} could not be downloaded from Google Drive ({reason}): {_ADVICE}."
        ) from error
    if not written or not path.is_file():
        raise DownloadError(f"Google Drive did not give the file {file_id}: {_ADVICE}.")


# ---------------------------------------------------------------------------------------- notes beside it

_CONVERSION = (
    "Files: train_<Intent>_full.json -> train.csv; train_<Intent>.json -> train_small.csv; "
    "validate_<Intent>.json -> test.csv\n"
    "Conversion: intents in alphabetical order, sentences in file order, the text chunks of a sentence joined "
    "with nothing between them, runs of white space made one space, ends stripped."
)
_LICENCE_NOTE = """\
CC0 1.0 Universal: the authors of the SNIPS benchmark have dedicated it to the public domain
(https://creativecommons.org/publicdomain/zero/1.0/legalcode).

They ask that publications cite: Coucke et al., Snips Voice Platform: an embedded Spoken Language
Understanding system for private-by-design voice interfaces, 2018, arXiv:1805.10190.
"""


def _write_notes(destination: Path, source: str, conversion: str) -> None:
    (destination / "LICENSE").write_text(_LICENCE_NOTE, encoding="utf-8")
    digests = [
        f"sha256 of {file.name}: {hashlib.sha256(file.read_bytes()).hexdigest()}"
        for file in sorted(destination.glob("*.csv"))
    ]
    lines = [f"From: {source}", "Licence: CC0-1.0 (LICENSE)", conversion, *digests]
    (destination / "SOURCE.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
