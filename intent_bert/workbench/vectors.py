"""Sentences as vectors of a frozen encoder, computed on ONNX Runtime: float32 (N, F).

    texts -> ids -> the encoder's graph -> mean over the tokens -> vectors (N, F)

The graph of a checkpoint is drawn once on a machine, which takes TensorFlow, for that reads Google's files. It is kept
beside the checkpoints under the sha256 of what it was drawn from, and from then on TensorFlow is not imported. A model
folder has its own graph: the encoder that it has tuned gives the vectors, and they know the labels it has learnt.
"""

import hashlib
import logging
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from intent_bert.bert.config import map_stock_config_to_params, read_stock_config, resolved_max_seq_len
from intent_bert.bert.pretrained import resolve
from intent_bert.bert.tokenization import VOCAB_FILE, FullTokenizer
from intent_bert.config import DEFAULT_MAX_SEQ_LEN
from intent_bert.errors import SettingsError
from intent_bert.estimators.vector_store import VectorStore
from intent_bert.files.atomic import atomic_file, disk_errors
from intent_bert.files.cache import checkpoint_folder
from intent_bert.files.progress import progress_bar
from intent_bert.inference.engines import ENGINE_FILES, KERAS, OnnxEngine, choose_engine
from intent_bert.model.folder import ModelFolder, is_model_folder
from intent_bert.model.sealed import looks_sealed

logger = logging.getLogger("intent_bert")

GRAPHS = "encoders"  # a folder beside the checkpoints
_DRAWN = "1"  # counts up when the graph of the same files becomes another one
_READ = 1 << 20
_AT_ONCE = 2048


class FrozenEncoder:
    """The encoder of a checkpoint or a model folder, to be asked for vectors.

    Args:
        checkpoint: a known name, a checkpoint folder, a model folder with a model for ONNX Runtime, or a sealed file.
        max_seq_len: longer sentences are cut to this many tokens; None means what training takes by default, or what
            the model was trained with.

    Attributes:
        tokenizer, max_seq_len: how a text becomes ids.
        is_tuned: whether it was trained on labels already.

    Raises:
        SettingsError, CheckpointError, DownloadError, ModelFolderError: there is no such encoder, or it can't be used.
    """

    def __init__(self, checkpoint: str | PathLike, max_seq_len: int | None = None) -> None:
        sealed = isinstance(checkpoint, str | PathLike) and looks_sealed(Path(checkpoint).expanduser())
        self.folder = Path(checkpoint).expanduser() if sealed else resolve(checkpoint)
        self.is_tuned = sealed or is_model_folder(self.folder)
        if self.is_tuned:
            model = ModelFolder(self.folder)
            self.tokenizer = model.tokenizer
            self.max_seq_len = model.max_seq_len if max_seq_len is None else max_seq_len
            return
        self.tokenizer = FullTokenizer(self.folder / VOCAB_FILE)
        positions = map_stock_config_to_params(read_stock_config(self.folder)).max_position_embeddings
        self.max_seq_len = resolved_max_seq_len(max_seq_len, DEFAULT_MAX_SEQ_LEN, positions)

    @property
    def is_drawn(self) -> bool:
        """Whether vectors can be had without TensorFlow."""
        return self.is_tuned or self._graph_file().is_file()

    def vectors(self, texts: Sequence[str], memory: str | PathLike | None = None, progress: bool = True) -> np.ndarray:
        """The vector of each text, float32 (N, F); a text that stands there twice is computed once.

        Args:
            memory: a folder that keeps them for later runs.
            progress: shows a bar on stderr when the work takes over two seconds.

        Raises:
            DiskError: they can't be kept in ``memory``, or the graph can't be beside the checkpoints.
            ModelFolderError: a model folder has no model for ONNX Runtime.
        """
        ids, _ = self.tokenizer.encode(texts, self.max_seq_len)
        keys = [np.array(each, "<i4").tobytes() for each in ids]
        distinct = dict(zip(keys, ids, strict=True))
        file, name = self._graph()
        engine = OnnxEngine(file)
        store = None if memory is None else VectorStore(memory)
        found: dict[bytes, np.ndarray] = {}
        names = {key: hashlib.sha256(name.encode() + b"\0" + key).digest() for key in distinct}
        if store is not None:
            kept = store.read(names.values(), len(engine.outputs([[self.tokenizer.cls_id]]).vectors[0]))
            found = {key: kept[name] for key, name in names.items() if name in kept}
        missing = [key for key in distinct if key not in found]
        with progress_bar(len(missing), "vectors" if progress else None, "sentence", delay=2, leave=False) as bar:
            for start in range(0, len(missing), _AT_ONCE):
                some = missing[start : start + _AT_ONCE]
                computed = dict(zip(some, engine.outputs([distinct[key] for key in some]).vectors, strict=True))
                if store is not None:
                    store.write({names[key]: vector for key, vector in computed.items()})
                found |= computed
                bar.update(len(some))
        return np.stack([found[key] for key in keys])

    def _graph(self) -> tuple[Path, str]:
        """The file of the graph, drawn if need be, and a name that no other graph has."""
        if self.is_tuned:
            model = ModelFolder(self.folder)
            engine = choose_engine(model)
            if engine == KERAS:
                raise SettingsError(
                    f"{self.folder} has no model for ONNX Runtime: intent-bert export {self.folder} writes it"
                )
            return model.file(ENGINE_FILES[engine]), _sha256(model.file(ENGINE_FILES[engine]))
        file = self._graph_file()
        if not file.is_file():
            logger.info("drawing the encoder of %s for ONNX Runtime (once)", self.folder)
            from intent_bert.export.encoder_graph import write_encoder

            with disk_errors(file):
                file.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(file) as partial:
                write_encoder(self.folder, partial)
        return file, file.stem

    def _graph_file(self) -> Path:
        if not hasattr(self, "_file"):
            names = [path for path in sorted(self.folder.iterdir()) if path.is_file() and path.name != "SOURCE.txt"]
            digest = hashlib.sha256(_DRAWN.encode() + "".join(f"{path.name}{_sha256(path)}" for path in names).encode())
            self._file = checkpoint_folder() / GRAPHS / f"{digest.hexdigest()}.onnx"
        return self._file


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_READ):
            digest.update(block)
    return digest.hexdigest()
