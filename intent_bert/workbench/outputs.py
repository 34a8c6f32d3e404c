"""Where the workbench writes: a place is checked before anything slow starts, and each file appears whole."""

from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from intent_bert.errors import SettingsError
from intent_bert.files.atomic import atomic_file, check_writable, disk_errors
from intent_bert.model.folder import is_model_folder


def checked_folder(folder: str | PathLike, names: Iterable[str], source: Any = None) -> Path:
    """A folder to write these files into; it may be there, and then they replace those of the same names.

    Raises:
        SettingsError: it is a file or a model folder, holds a folder of such a name, or ``source``, the table that is
            read, would be replaced.
        DiskError: nothing can be written there.
    """
    place = Path(folder)
    if place.exists() and not place.is_dir():
        raise SettingsError(f"won't write to {place}: it is a file; name a folder")
    if is_model_folder(place):
        raise SettingsError(f"won't write to {place}: it is a model folder; name another, such as {place / 'found'}")
    names = list(names)
    for name in names:
        if (place / name).is_dir():
            raise SettingsError(f"won't write to {place}: {place / name} is a folder; name another folder")
    if _is_among(source, [place / name for name in names]):
        raise SettingsError(f"won't write to {place}: {source} would be replaced; name another folder")
    check_writable(place)
    return place


def checked_csv(path: str | PathLike, *sources: Any) -> Path:
    """A csv or tsv file to write, which replaces none of the tables that are read.

    Raises:
        SettingsError: another kind of file, one that is there already, or a folder.
        DiskError: it can't be written.
    """
    place = Path(path)
    if place.suffix.lower() not in (".csv", ".tsv"):
        raise SettingsError(f"can't write {place}: expected a name that ends in .csv or .tsv")
    if place.exists():
        kind = "the table that is read" if any(_is_among(source, [place]) for source in sources) else "there already"
        raise SettingsError(f"won't write to {place}: it is {kind}; name another file")
    check_writable(place)
    return place


def separator_of(path: Path) -> str:
    """What stands between the cells of a csv or tsv file."""
    return "\t" if path.suffix.lower() == ".tsv" else ","


def write_files(folder: Path, contents: Mapping[str, bytes | str]) -> None:
    """Write files into a folder, which is made if need be.

    Raises:
        DiskError: they can't be written.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_file(folder / name, content)


def write_file(path: Path, content: bytes | str) -> None:
    """Write a file whole, or leave what stands there.

    Raises:
        DiskError: it can't be written.
    """
    with atomic_file(path) as partial, disk_errors(path):
        encoded = content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace")
        partial.write_bytes(encoded)


def _is_among(source: Any, paths: list[Path]) -> bool:
    return isinstance(source, str | PathLike) and Path(source).resolve() in [path.resolve() for path in paths]
