"""Weights of a BertModelLayer from and to the two layouts that BERT checkpoints come in.

    stock (Google)      bert_config.json  vocab.txt  bert_model.ckpt.{index,data-00000-of-00001}
    Hugging Face        config.json       vocab.txt  model.safetensors

Every weight of the layer must be found with its shape, or the load fails and names what is missing; what a
checkpoint holds beyond them must be on a short list (the pooler, the pre-training heads, optimizer slots). Nothing
here runs code from a checkpoint: a TensorFlow checkpoint and a safetensors file hold tensors only.
"""

import logging
import re
import shutil
from collections.abc import Callable, Iterable
from os import PathLike
from pathlib import Path

import keras
import numpy as np

from intent_bert.bert.config import (
    HUGGINGFACE_CONFIG_FILE,
    STOCK_CONFIG_FILE,
    BertConfig,
    map_stock_config_to_params,
    read_stock_config,
)
from intent_bert.bert.encoder import BertModelLayer
from intent_bert.bert.tokenization import (
    TOKENIZER_CONFIG_FILE,
    VOCAB_FILE,
    read_vocab_lines,
    tokenizer_config,
    told_by_checkpoint,
)
from intent_bert.errors import CheckpointError, reason

logger = logging.getLogger("intent_bert")

CHECKPOINT_PREFIX = "bert_model.ckpt"
SAFETENSORS_FILE = "model.safetensors"
EXPECTED_LEFT_OVERS = re.compile(  # what a checkpoint may hold beyond the encoder's weights
    r"^(bert/)?pooler/|^cls/|^global_step$|/adam_[mv]$|/Adam(_1)?$|/LAMB(_1)?$|position_ids$|^(beta[12]_power|good_steps|"
    r"loss_scale)$"
)
POOLER = ("bert/pooler/dense/kernel", "bert/pooler/dense/bias")
CONVERTED = re.compile(r"^bert/.*/(kernel|bias|gamma|beta|\w+_embeddings)$")  # the encoder and its pooler
ENCODER_WEIGHT = re.compile(r"^bert/(encoder/layer_\d+|embeddings)/.*(kernel|bias|gamma|beta|_embeddings)$")
LISTED = 20  # weights that an error names before it only counts

Arrays = dict[str, np.ndarray]  # stock name -> value, in the stock layout


def stock_names(bert: BertModelLayer) -> dict[str, keras.Variable]:
    """The weights of a built layer under Google's variable names; adapters, which no checkpoint has, left out."""
    table = bert.embeddings
    names = {
        f"bert/embeddings/{name}": getattr(table, name)
        for name in ("word_embeddings", "token_type_embeddings", "position_embeddings")
    }
    names |= _pair("bert/embeddings/LayerNorm", "gamma", "beta", table.normalise)
    for index, layer in enumerate(bert.encoder_layers):
        base = f"bert/encoder/layer_{index}"
        for name in ("query", "key", "value"):
            names |= _pair(f"{base}/attention/self/{name}", "kernel", "bias", getattr(layer.attention, name))
        names |= _pair(f"{base}/intermediate/dense", "kernel", "bias", layer.intermediate)
        for place, part in (("attention/output", layer.attention_output), ("output", layer.output_projection)):
            names |= _pair(f"{base}/{place}/dense", "kernel", "bias", part.project)
            names |= _pair(f"{base}/{place}/LayerNorm", "gamma", "beta", part.normalise)
    return names


def _pair(base: str, first: str, second: str, layer: keras.layers.Layer) -> dict[str, keras.Variable]:
    return {f"{base}/{first}": getattr(layer, first), f"{base}/{second}": getattr(layer, second)}


def load_stock_weights(bert: BertModelLayer, ckpt_path: str | PathLike, known: Iterable[str] = ()) -> list[str]:
    """Load pretrained weights into a built layer, all of them or none.

    Args:
        bert: a layer that has been built or called.
        ckpt_path: a checkpoint prefix (``.../bert_model.ckpt``) or a folder in the stock or Hugging Face layout.
        known: names beyond the encoder that the caller has a place for.

    Returns:
        The names that the checkpoint holds beyond the encoder, in order; unexpected ones are logged as a warning.

    Raises:
        CheckpointError: the files are missing or damaged, or weights are missing or misshapen (all of them named).
    """
    if not bert.built:
        raise CheckpointError("the BertModelLayer has no weights yet: build the model before loading a checkpoint")
    source = Path(ckpt_path)
    names, read = _open(source)
    wanted = stock_names(bert)
    _check_fit(source, {name: tuple(variable.shape) for name, variable in wanted.items()}, names)
    values = {name: read(name) for name in wanted}  # all of them, before the first is assigned
    whole = [name for name, value in values.items() if value.dtype.kind in "biu"]
    if whole:
        raise CheckpointError(f"{source} has whole numbers for weights (is it quantised?): {', '.join(whole[:6])}")
    for name, variable in wanted.items():
        variable.assign(values[name])
    left_over = sorted(set(names) - set(wanted))
    unexpected = [name for name in left_over if name not in known and not EXPECTED_LEFT_OVERS.search(name)]
    if unexpected:
        logger.warning("%s holds weights that the encoder has no place for: %s", source, ", ".join(unexpected[:6]))
    return left_over


def stock_shapes(params: BertConfig) -> dict[str, tuple[int, ...]]:
    """The shape of every weight that an encoder with these parameters has, under Google's names."""
    width, inner = params.hidden_size, params.intermediate_size
    shapes: dict[str, tuple[int, ...]] = {
        "bert/embeddings/word_embeddings": (params.vocab_size, width),
        "bert/embeddings/token_type_embeddings": (params.token_type_vocab_size, width),
        "bert/embeddings/position_embeddings": (params.max_position_embeddings, width),
        "bert/embeddings/LayerNorm/gamma": (width,),
        "bert/embeddings/LayerNorm/beta": (width,),
    }
    dense = {f"attention/self/{name}": (width, width) for name in ("query", "key", "value")}
    dense |= {"attention/output/dense": (width, width), "intermediate/dense": (width, inner)}
    dense |= {"output/dense": (inner, width)}
    for index in range(params.num_layers):
        base = f"bert/encoder/layer_{index}"
        for name, shape in dense.items():
            shapes |= {f"{base}/{name}/kernel": shape, f"{base}/{name}/bias": shape[1:]}
        for name in ("attention/output", "output"):
            shapes |= {f"{base}/{name}/LayerNorm/gamma": (width,), f"{base}/{name}/LayerNorm/beta": (width,)}
    return shapes


def _check_fit(source: Path, wanted: dict[str, tuple[int, ...]], there: dict[str, tuple[int, ...]]) -> None:
    """Raise where weights of the encoder are missing, misshapen, or more than the config has a place for."""
    missing = [f"missing {name}" for name in sorted(set(wanted) - set(there))]
    misshapen = [
        f"{name} is {list(there[name])}, expected {list(shape)}"
        for name, shape in wanted.items()
        if name in there and tuple(there[name]) != tuple(shape)
    ]
    surplus = [f"no place for {name}" for name in sorted(set(there) - set(wanted)) if ENCODER_WEIGHT.search(name)]
    problems = missing + misshapen + surplus
    if problems:
        more = f"; and {len(problems) - LISTED} more" if len(problems) > LISTED else ""
        raise CheckpointError(f"{source} does not fit the config: " + "; ".join(problems[:LISTED]) + more)


def check_checkpoint_folder(folder: str | PathLike) -> Path:
    """Make sure that a folder holds a whole checkpoint in either layout, before anything slow starts.

    Returns:
        The folder.

    Raises:
        CheckpointError: naming the file that is missing, damaged or can't be read, or the shape that disagrees with
            the config.
    """
    folder = Path(folder)
    try:
        _check_folder(folder)
    except OSError as error:
        raise CheckpointError(f"can't read {error.filename or folder}: {reason(error)}") from error
    return folder


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise CheckpointError(f"no such checkpoint folder: {folder}")
    params = map_stock_config_to_params(read_stock_config(folder))
    vocab_size = len(read_vocab_lines(folder / VOCAB_FILE))
    if vocab_size > params.vocab_size:
        raise CheckpointError(
            f"{folder}: {VOCAB_FILE} has {vocab_size} tokens, but the config says vocab_size {params.vocab_size}"
        )
    names, _ = _open(folder)
    _check_fit(folder, stock_shapes(params), names)


# --- reading ---------------------------------------------------------------------------------------------------


def _open(source: Path) -> tuple[dict[str, tuple[int, ...]], Callable[[str], np.ndarray]]:
    """The stock names and shapes that a checkpoint holds, and a function that reads one of them."""
    if not source.is_dir():
        return _open_stock(source)
    if Path(f"{source / CHECKPOINT_PREFIX}.index").is_file():
        return _open_stock(source / CHECKPOINT_PREFIX)
    if (source / SAFETENSORS_FILE).is_file():
        return _open_safetensors(source / SAFETENSORS_FILE)
    raise CheckpointError(f"{source} has no weights: neither {CHECKPOINT_PREFIX}.index nor {SAFETENSORS_FILE}")


def _open_stock(prefix: Path) -> tuple[dict[str, tuple[int, ...]], Callable[[str], np.ndarray]]:
    import tensorflow as tf

    index = Path(f"{prefix}.index")
    if not index.is_file():
        raise CheckpointError(f"no checkpoint at {prefix}: there is no {index.name} in {prefix.parent}")
    if not list(prefix.parent.glob(f"{prefix.name}.data-*")):
        raise CheckpointError(f"no checkpoint at {prefix}: there is no {prefix.name}.data-00000-of-00001")
    raised = (tf.errors.OpError, ValueError, LookupError, RuntimeError)  # by TensorFlow, at a damaged file
    try:
        reader = tf.train.load_checkpoint(str(prefix))
    except raised as error:
        raise CheckpointError(f"{prefix} is damaged: {_first_line(error)}") from None

    def read(name: str) -> np.ndarray:
        try:
            return reader.get_tensor(name)
        except raised as error:
            raise CheckpointError(f"{prefix} is damaged at {name}: {_first_line(error)}") from None

    shapes = {name: tuple(shape) for name, shape in reader.get_variable_to_shape_map().items()}
    for name in ("bert/embeddings/word_embeddings", max(shapes, default="")):  # finds a truncated data file now
        if name in shapes:
            read(name)
    return shapes, read


def _open_safetensors(path: Path) -> tuple[dict[str, tuple[int, ...]], Callable[[str], np.ndarray]]:
    from safetensors import SafetensorError, safe_open

    try:
        tensors = safe_open(path, framework="numpy")
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged: {_first_line(error)}") from None
    places, shapes = {}, {}
    for key in tensors.keys():  # noqa: SIM118 (safe_open is no mapping)
        name, transposed = stock_name_of(key)
        shape = tuple(tensors.get_slice(key).get_shape())
        places[name], shapes[name] = (key, transposed), shape[::-1] if transposed else shape

    def read(name: str) -> np.ndarray:
        key, transposed = places[name]
        value = tensors.get_tensor(key)
        value = value if value.dtype.kind in "biu" else np.asarray(value, "float32")
        return value.T if transposed else value

    return shapes, read


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200]


# --- names in the two layouts ------------------------------------------------------------------------------------

_TO_HUGGINGFACE = (
    (r"^bert/", ""),
    (r"/layer_(\d+)/", r"/layer/\1/"),
    (r"(word|token_type|position)_embeddings$", r"\1_embeddings/weight"),
    (r"/kernel$|/gamma$", "/weight"),
    (r"/beta$", "/bias"),
    (r"/", "."),
)
_FROM_HUGGINGFACE = (
    (r"\.", "/"),
    (r"^bert/", ""),
    (r"^(embeddings|encoder|pooler)/", r"bert/\1/"),
    (r"/layer/(\d+)/", r"/layer_\1/"),
    (r"_embeddings/weight$", "_embeddings"),
    (r"LayerNorm/weight$", "LayerNorm/gamma"),
    (r"LayerNorm/bias$", "LayerNorm/beta"),
    (r"/weight$", "/kernel"),
)


def huggingface_name_of(stock_name: str) -> tuple[str, bool]:
    """The safetensors key of a stock variable, and whether its matrix is stored transposed."""
    return _rewrite(stock_name, _TO_HUGGINGFACE), stock_name.endswith("/kernel")


def stock_name_of(key: str) -> tuple[str, bool]:
    """The stock variable of a safetensors key, and whether its matrix is stored transposed."""
    name = _rewrite(key, _FROM_HUGGINGFACE)
    return name, name.endswith("/kernel")


def _rewrite(name: str, rules: Iterable[tuple[str, str]]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


# --- writing -----------------------------------------------------------------------------------------------------


def read_arrays(source: str | PathLike) -> Arrays:
    """Every tensor of a checkpoint under its stock name and in the stock layout, the pooler and heads included."""
    names, read = _open(Path(source))
    return {name: read(name) for name in names}


def read_pooler(source: str | PathLike) -> tuple[np.ndarray, np.ndarray] | None:
    """The checkpoint's own pooler, the kernel (H, H) and bias (H,) of a tanh layer over [CLS]; None if it has none."""
    names, read = _open(Path(source))
    if not set(POOLER) <= set(names):
        return None
    kernel, bias = (np.asarray(read(name), "float32") for name in POOLER)
    return kernel, bias


def convert_checkpoint(source: str | PathLike, destination: str | PathLike, to: str = "stock") -> None:
    """Write a checkpoint folder in the other layout, with the same weights, vocabulary and casing.

    Args:
        source: a folder in either layout.
        destination: a folder; made if it is not there.
        to: ``"stock"`` or ``"huggingface"``.

    Raises:
        CheckpointError: the source is no whole checkpoint, or ``to`` is neither of the two.
    """
    if to not in ("stock", "huggingface"):
        raise CheckpointError(f"a checkpoint converts to stock or huggingface, not to {to!r}")
    source, destination = check_checkpoint_folder(source), Path(destination)
    config, arrays = read_stock_config(source), read_arrays(source)
    arrays = {name: array for name, array in arrays.items() if CONVERTED.search(name)}
    destination.mkdir(parents=True, exist_ok=True)
    for name in (VOCAB_FILE, TOKENIZER_CONFIG_FILE):
        if (source / name).is_file():
            shutil.copyfile(source / name, destination / name)
    told, _ = told_by_checkpoint(source)
    if told is not None and told_by_checkpoint(destination)[0] != told:  # it was told by the name of the folder
        (destination / TOKENIZER_CONFIG_FILE).write_text(tokenizer_config(told), encoding="utf-8")
    if to == "stock":
        (destination / STOCK_CONFIG_FILE).write_text(config.to_json_string(), encoding="utf-8")
        write_stock_weights(arrays, destination / CHECKPOINT_PREFIX)
    else:
        (destination / HUGGINGFACE_CONFIG_FILE).write_text(config.to_huggingface_json(), encoding="utf-8")
        tensors = dict(huggingface_tensor_of(name, array) for name, array in arrays.items())
        write_safetensors(tensors, destination / SAFETENSORS_FILE)


def write_stock_weights(arrays: Arrays, prefix: str | PathLike) -> None:
    """Write tensors as a TensorFlow 1 checkpoint (``prefix.index``, ``prefix.data-00000-of-00001``)."""
    import tensorflow as tf

    names = sorted(arrays)
    try:
        tf.raw_ops.SaveV2(
            prefix=str(prefix),
            tensor_names=names,
            shape_and_slices=[""] * len(names),
            tensors=[tf.constant(arrays[name]) for name in names],
        )
    except tf.errors.OpError as error:
        raise CheckpointError(f"can't write {prefix}: {_first_line(error)}") from None


def huggingface_tensor_of(stock_name: str, array: np.ndarray) -> tuple[str, np.ndarray]:
    """The safetensors key of a stock variable, and its values as they are stored there."""
    key, transposed = huggingface_name_of(stock_name)
    return key, np.ascontiguousarray(array.T if transposed else array)


def write_safetensors(tensors: dict[str, np.ndarray], path: Path) -> None:
    """Write a ``model.safetensors`` that PyTorch reads."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        path.touch()
        usual = path.stat().st_mode  # safetensors' own temporary file can be read by its owner alone
        save_file(tensors, str(path), metadata={"format": "pt"})
        path.chmod(usual)
    except SafetensorError as error:
        raise CheckpointError(f"can't write {path}: {_first_line(error)}") from None
