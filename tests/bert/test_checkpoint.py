"""Weights in and out of both layouts: all of them or none, and every refusal one sentence that names the cause."""

import json
import logging
import resource
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import keras
import ml_dtypes
import numpy as np
import pytest
from conftest import TINY_CONFIG, tiny_weights, write_tiny_checkpoint
from plain_user import as_a_plain_user, needs_root
from safetensors.numpy import load_file, save_file

from intent_bert.bert.checkpoint import (
    CHECKPOINT_PREFIX,
    SAFETENSORS_FILE,
    check_checkpoint_folder,
    convert_checkpoint,
    huggingface_name_of,
    load_stock_weights,
    read_arrays,
    stock_name_of,
    stock_names,
    stock_shapes,
    write_stock_weights,
)
from intent_bert.bert.config import params_from_pretrained_ckpt
from intent_bert.bert.encoder import BertModelLayer
from intent_bert.bert.tokenization import FullTokenizer, tokenizer_config
from intent_bert.errors import CheckpointError

DATA_FILE = f"{CHECKPOINT_PREFIX}.data-00000-of-00001"
QUERY = "bert/encoder/layer_1/attention/self/query"
Arrays = dict[str, np.ndarray]


def new_bert(folder: Path, dtype: str = "float32") -> BertModelLayer:
    bert = BertModelLayer.from_params(params_from_pretrained_ckpt(folder), name="bert", dtype=dtype)
    bert.build((None, None))
    return bert


def values(bert: BertModelLayer) -> Arrays:
    return {name: keras.ops.convert_to_numpy(variable) for name, variable in stock_names(bert).items()}


def encoder_of(arrays: Arrays) -> Arrays:
    return {name: value for name, value in arrays.items() if not name.startswith(("bert/pooler", "cls"))}


def assert_equal(first: Arrays, second: Arrays) -> None:
    assert set(first) == set(second)
    for name, value in first.items():
        assert value.dtype == second[name].dtype == "float32", name
        np.testing.assert_array_equal(value, second[name], err_msg=name)


def refused(load: Callable[[], object]) -> str:
    with pytest.raises(CheckpointError) as error:
        load()
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A stock checkpoint to damage."""
    return write_tiny_checkpoint(tmp_path / "uncased_tiny")


@pytest.fixture
def huggingface(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    convert_checkpoint(tiny_checkpoint, tmp_path / "huggingface", to="huggingface")
    return tmp_path / "huggingface"


# --- loading -------------------------------------------------------------------------------------------------------


def test_every_weight_has_one_stock_name(tiny_checkpoint: Path) -> None:
    bert = new_bert(tiny_checkpoint)
    names = stock_names(bert)
    assert set(names) == set(encoder_of(tiny_weights()))
    assert sorted(map(id, names.values())) == sorted(map(id, bert.weights))


@pytest.mark.parametrize("path", ["", CHECKPOINT_PREFIX])
@pytest.mark.parametrize("as_text", [True, False])
def test_folder_and_prefix_load_the_same(tiny_checkpoint: Path, path: str, as_text: bool) -> None:
    bert, source = new_bert(tiny_checkpoint), tiny_checkpoint / path
    left_over = load_stock_weights(bert, str(source) if as_text else source)
    assert left_over == ["bert/pooler/dense/bias", "bert/pooler/dense/kernel", "cls/predictions/output_bias"]
    assert_equal(values(bert), encoder_of(tiny_weights()))


def test_a_hugging_face_folder_loads_the_same(huggingface: Path) -> None:
    bert = new_bert(huggingface)
    assert load_stock_weights(bert, huggingface) == ["bert/pooler/dense/bias", "bert/pooler/dense/kernel"]
    assert_equal(values(bert), encoder_of(tiny_weights()))


def test_written_weights_can_be_read_by_those_who_can_read_the_rest(huggingface: Path) -> None:
    modes = {path.stat().st_mode for path in huggingface.iterdir()}
    assert len(modes) == 1


def test_a_layer_that_was_not_built(tiny_checkpoint: Path) -> None:
    bert = BertModelLayer.from_params(params_from_pretrained_ckpt(tiny_checkpoint))
    assert refused(lambda: load_stock_weights(bert, tiny_checkpoint)) == (
        "the BertModelLayer has no weights yet: build the model before loading a checkpoint"
    )


def test_expected_left_overs_are_silent_and_reported(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    arrays, table = tiny_weights(), "bert/embeddings/word_embeddings"
    extras = [f"{table}/adam_m", f"{table}/adam_v", "global_step", "cls/seq_relationship/output_weights"]
    extras += [f"{table}/Adam", f"{table}/Adam_1", "beta1_power", "good_steps", "loss_scale"]
    arrays |= {name: np.zeros(2, "int64" if name == "global_step" else "float32") for name in extras}
    write_stock_weights(arrays, folder / CHECKPOINT_PREFIX)
    with caplog.at_level(logging.INFO):
        left_over = load_stock_weights(new_bert(folder), folder)
    pooler_and_head = ["bert/pooler/dense/bias", "bert/pooler/dense/kernel", "cls/predictions/output_bias"]
    assert left_over == sorted([*extras, *pooler_and_head])
    assert not caplog.records


def test_unexpected_left_overs_are_a_warning(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    surplus = {"bert/adapter/scale": np.zeros(32, "float32"), "extra": np.zeros(1, "float32")}
    write_stock_weights(tiny_weights() | surplus, folder / CHECKPOINT_PREFIX)
    left_over = load_stock_weights(new_bert(folder), folder)
    assert set(surplus) < set(left_over)
    assert [(record.levelname, record.message) for record in caplog.records] == [
        (
            "WARNING",
            f"{folder} holds weights that the encoder has no place for: bert/adapter/scale, extra",
        )
    ]


def test_missing_weights_are_named_and_nothing_is_assigned(folder: Path) -> None:
    arrays = tiny_weights()
    del arrays[f"{QUERY}/kernel"], arrays["bert/embeddings/LayerNorm/beta"]
    write_stock_weights(arrays, folder / CHECKPOINT_PREFIX)
    bert = new_bert(folder)
    before = values(bert)
    assert refused(lambda: load_stock_weights(bert, folder)) == (
        f"{folder} does not fit the config: missing bert/embeddings/LayerNorm/beta; missing {QUERY}/kernel"
    )
    assert_equal(values(bert), before)


def test_of_many_missing_weights_twenty_are_named(folder: Path) -> None:
    arrays = {name: value for name, value in tiny_weights().items() if "/layer_3/" not in name}
    del arrays["bert/embeddings/LayerNorm/beta"], arrays["bert/embeddings/LayerNorm/gamma"]
    for name in ("word", "token_type", "position"):
        del arrays[f"bert/embeddings/{name}_embeddings"]
    write_stock_weights(arrays, folder / CHECKPOINT_PREFIX)
    message = refused(lambda: load_stock_weights(new_bert(folder), folder))
    assert message.startswith(f"{folder} does not fit the config: missing bert/embeddings/LayerNorm/beta; missing")
    assert message.count("missing ") == 20
    assert message.endswith("; and 1 more")


def test_shapes_told_by_the_config_are_those_of_the_layer(tiny_checkpoint: Path) -> None:
    bert = new_bert(tiny_checkpoint)
    assert stock_shapes(bert.config) == {name: tuple(value.shape) for name, value in stock_names(bert).items()}


def test_weights_of_a_layer_that_the_config_does_not_have(folder: Path) -> None:
    (folder / "bert_config.json").write_text(json.dumps(TINY_CONFIG | {"num_hidden_layers": 3}))
    message = refused(lambda: check_checkpoint_folder(folder))
    assert message.startswith(f"{folder} does not fit the config: no place for bert/encoder/layer_3/attention/output/")
    assert refused(lambda: load_stock_weights(new_bert(folder), folder)) == message


@pytest.mark.parametrize("to", ["stock", "huggingface"])
def test_no_disk_space_while_converting(tiny_checkpoint: Path, tmp_path: Path, to: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    (tmp_path / "new").mkdir()
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        message = refused(lambda: convert_checkpoint(tiny_checkpoint, tmp_path / "new", to))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert message.startswith(f"can't write {tmp_path / 'new'}/")


def test_misshapen_weights_are_named_with_both_shapes(folder: Path) -> None:
    arrays = tiny_weights()
    arrays[f"{QUERY}/kernel"] = np.zeros((32, 16), "float32")
    del arrays[f"{QUERY}/bias"]
    write_stock_weights(arrays, folder / CHECKPOINT_PREFIX)
    bert = new_bert(folder)
    before = values(bert)
    assert refused(lambda: load_stock_weights(bert, folder)) == (
        f"{folder} does not fit the config: missing {QUERY}/bias; {QUERY}/kernel is [32, 16], expected [32, 32]"
    )
    assert_equal(values(bert), before)


def test_a_hugging_face_matrix_is_measured_in_the_stock_layout(huggingface: Path) -> None:
    tensors = load_file(huggingface / SAFETENSORS_FILE)
    key = "encoder.layer.0.intermediate.dense.weight"
    tensors[key] = np.ascontiguousarray(tensors[key].T)
    save_file(tensors, huggingface / SAFETENSORS_FILE)
    assert refused(lambda: load_stock_weights(new_bert(huggingface), huggingface)) == (
        f"{huggingface} does not fit the config: bert/encoder/layer_0/intermediate/dense/kernel is [64, 32], "
        "expected [32, 64]"
    )


def test_whole_numbers_are_no_weights(folder: Path, huggingface: Path) -> None:
    arrays = tiny_weights()
    arrays[f"{QUERY}/kernel"] = np.ones((32, 32), "int8")
    write_stock_weights(arrays, folder / CHECKPOINT_PREFIX)
    message = f"has whole numbers for weights (is it quantised?): {QUERY}/kernel"
    bert = new_bert(folder)
    before = values(bert)
    assert refused(lambda: load_stock_weights(bert, folder)) == f"{folder} {message}"
    assert_equal(values(bert), before)
    tensors = load_file(huggingface / SAFETENSORS_FILE)
    tensors["encoder.layer.1.attention.self.query.weight"] = np.ones((32, 32), "int8")
    save_file(tensors, huggingface / SAFETENSORS_FILE)
    assert refused(lambda: load_stock_weights(bert, huggingface)) == f"{huggingface} {message}"


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_weights_of_another_precision(huggingface: Path, dtype: type) -> None:
    tensors = {key: value.astype(dtype) for key, value in load_file(huggingface / SAFETENSORS_FILE).items()}
    save_file(tensors, huggingface / SAFETENSORS_FILE)
    bert = new_bert(huggingface)
    load_stock_weights(bert, huggingface)
    rounded = {name: value.astype(dtype).astype("float32") for name, value in encoder_of(tiny_weights()).items()}
    assert_equal(values(bert), rounded)


# --- damaged files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [0, 100, 0.5, 0.999])
def test_a_truncated_data_file(folder: Path, kept: float) -> None:
    data = (folder / DATA_FILE).read_bytes()
    (folder / DATA_FILE).write_bytes(data[: kept if isinstance(kept, int) else int(kept * len(data))])
    bert = new_bert(folder)
    before = values(bert)
    pattern = f"{folder}/{CHECKPOINT_PREFIX} is damaged at "
    assert refused(lambda: load_stock_weights(bert, folder)).startswith(pattern)
    assert refused(lambda: check_checkpoint_folder(folder)).startswith(pattern)
    assert_equal(values(bert), before)


def test_a_flipped_byte_is_found_before_anything_is_assigned(folder: Path) -> None:
    data = bytearray((folder / DATA_FILE).read_bytes())
    data[len(data) // 2] ^= 0xFF
    (folder / DATA_FILE).write_bytes(data)
    bert = new_bert(folder)
    before = values(bert)
    message = refused(lambda: load_stock_weights(bert, folder))
    assert message.startswith(f"{folder}/{CHECKPOINT_PREFIX} is damaged at bert/encoder/layer_")
    assert "Checksum does not match" in message
    assert_equal(values(bert), before)


@pytest.mark.parametrize("kept", [0, 0.5])
def test_a_truncated_index(folder: Path, kept: float) -> None:
    index = folder / f"{CHECKPOINT_PREFIX}.index"
    index.write_bytes(index.read_bytes()[: int(index.stat().st_size * kept)])
    message = refused(lambda: load_stock_weights(new_bert(folder), folder))
    assert message.startswith(f"{folder}/{CHECKPOINT_PREFIX} is damaged: ")


@pytest.mark.parametrize("kept", [0, 0.001, 0.999])
def test_a_truncated_safetensors_file(huggingface: Path, kept: float) -> None:
    path = huggingface / SAFETENSORS_FILE
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    message = refused(lambda: load_stock_weights(new_bert(huggingface), huggingface))
    assert message.startswith(f"{path} is damaged: ")


def test_a_missing_index(folder: Path) -> None:
    (folder / f"{CHECKPOINT_PREFIX}.index").unlink()
    bert, prefix = new_bert(folder), folder / CHECKPOINT_PREFIX
    assert refused(lambda: load_stock_weights(bert, prefix)) == (
        f"no checkpoint at {prefix}: there is no bert_model.ckpt.index in {folder}"
    )
    assert refused(lambda: load_stock_weights(bert, folder)) == (
        f"{folder} has no weights: neither bert_model.ckpt.index nor model.safetensors"
    )


def test_a_missing_data_file(folder: Path) -> None:
    (folder / DATA_FILE).unlink()
    assert refused(lambda: load_stock_weights(new_bert(folder), folder)) == (
        f"no checkpoint at {folder}/bert_model.ckpt: there is no bert_model.ckpt.data-00000-of-00001"
    )


# --- check_checkpoint_folder ---------------------------------------------------------------------------------------


def test_a_whole_folder_passes_the_check(tiny_checkpoint: Path, huggingface: Path) -> None:
    assert check_checkpoint_folder(str(tiny_checkpoint)) == tiny_checkpoint
    assert check_checkpoint_folder(huggingface) == huggingface


def test_no_such_folder(tmp_path: Path) -> None:
    assert refused(lambda: check_checkpoint_folder(tmp_path / "no")) == f"no such checkpoint folder: {tmp_path}/no"


def test_a_folder_without_vocabulary(folder: Path) -> None:
    (folder / "vocab.txt").unlink()
    assert refused(lambda: check_checkpoint_folder(folder)) == (
        f"no vocabulary at {folder}/vocab.txt: a checkpoint folder needs its vocab.txt"
    )


def test_a_folder_without_weights(folder: Path) -> None:
    for file in folder.glob(f"{CHECKPOINT_PREFIX}*"):
        file.unlink()
    assert refused(lambda: check_checkpoint_folder(folder)) == (
        f"{folder} has no weights: neither bert_model.ckpt.index nor model.safetensors"
    )


def test_a_vocabulary_longer_than_the_config_says(folder: Path) -> None:
    with (folder / "vocab.txt").open("a") as vocab:
        vocab.write("more\n")
    assert refused(lambda: check_checkpoint_folder(folder)) == (
        f"{folder}: vocab.txt has 161 tokens, but the config says vocab_size 160"
    )


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("vocab_size", 161, "word_embeddings is [160, 32], expected [161, 32]"),
        ("hidden_size", 36, "word_embeddings is [160, 32], expected [160, 36]"),
        ("max_position_embeddings", 40, "position_embeddings is [48, 32], expected [40, 32]"),
        ("type_vocab_size", 3, "token_type_embeddings is [2, 32], expected [3, 32]"),
    ],
)
def test_a_config_that_disagrees_with_the_weights(folder: Path, key: str, value: int, problem: str) -> None:
    (folder / "bert_config.json").write_text(json.dumps(TINY_CONFIG | {key: value}))
    message = refused(lambda: check_checkpoint_folder(folder))
    assert message.startswith(f"{folder} does not fit the config: bert/embeddings/{problem}")


def test_a_config_with_more_layers_than_the_weights(folder: Path) -> None:
    (folder / "bert_config.json").write_text(json.dumps(TINY_CONFIG | {"num_hidden_layers": 5}))
    message = refused(lambda: load_stock_weights(new_bert(folder), folder))
    assert "missing bert/encoder/layer_4/attention/output/LayerNorm/beta" in message


def test_weights_of_something_else(folder: Path) -> None:
    write_stock_weights({"dense/kernel": np.ones((2, 2), "float32")}, folder / CHECKPOINT_PREFIX)
    message = refused(lambda: check_checkpoint_folder(folder))
    assert message.startswith(f"{folder} does not fit the config: missing bert/embeddings/LayerNorm/beta; ")


# --- the two layouts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stock", "huggingface"),
    [
        ("bert/embeddings/word_embeddings", "embeddings.word_embeddings.weight"),
        ("bert/embeddings/LayerNorm/gamma", "embeddings.LayerNorm.weight"),
        ("bert/encoder/layer_11/attention/self/query/kernel", "encoder.layer.11.attention.self.query.weight"),
        ("bert/encoder/layer_0/attention/output/LayerNorm/beta", "encoder.layer.0.attention.output.LayerNorm.bias"),
        ("bert/encoder/layer_0/output/dense/bias", "encoder.layer.0.output.dense.bias"),
        ("bert/pooler/dense/kernel", "pooler.dense.weight"),
    ],
)
def test_names_in_both_layouts(stock: str, huggingface: str) -> None:
    is_matrix = stock.endswith("kernel")
    assert huggingface_name_of(stock) == (huggingface, is_matrix)
    assert stock_name_of(huggingface) == (stock, is_matrix)
    assert stock_name_of(f"bert.{huggingface}") == (stock, is_matrix)  # as in BertForPreTraining's files


def test_old_hugging_face_names_of_the_norms() -> None:
    assert stock_name_of("bert.embeddings.LayerNorm.gamma") == ("bert/embeddings/LayerNorm/gamma", False)


def test_stock_to_hugging_face_and_back_is_bit_equal(tiny_checkpoint: Path, huggingface: Path, tmp_path: Path) -> None:
    convert_checkpoint(huggingface, tmp_path / "again", to="stock")
    expected = {name: value for name, value in tiny_weights().items() if not name.startswith("cls/")}
    assert "bert/pooler/dense/kernel" in expected
    assert_equal(read_arrays(tmp_path / "again"), expected)
    assert_equal(read_arrays(huggingface), expected)
    assert (tmp_path / "again" / "vocab.txt").read_bytes() == (tiny_checkpoint / "vocab.txt").read_bytes()
    for folder in (huggingface, tmp_path / "again"):
        assert params_from_pretrained_ckpt(folder) == params_from_pretrained_ckpt(tiny_checkpoint)


def test_hugging_face_matrices_are_stored_transposed(huggingface: Path) -> None:
    tensors = load_file(huggingface / SAFETENSORS_FILE)
    kernel = tiny_weights()["bert/encoder/layer_2/output/dense/kernel"]
    np.testing.assert_array_equal(tensors["encoder.layer.2.output.dense.weight"], kernel.T)


def test_the_erf_gelu_survives_a_conversion(huggingface: Path, tmp_path: Path) -> None:
    config = json.loads((huggingface / "config.json").read_text())
    assert config["hidden_act"] == "gelu_pytorch_tanh"  # Google's "gelu"
    (huggingface / "config.json").write_text(json.dumps(config | {"hidden_act": "gelu"}))
    convert_checkpoint(huggingface, tmp_path / "stock")
    assert params_from_pretrained_ckpt(tmp_path / "stock").gelu_approximate is False


@pytest.mark.parametrize("to", ["stock", "huggingface"])
def test_the_casing_survives_a_conversion(tiny_checkpoint: Path, tmp_path: Path, to: str) -> None:
    by_name = tmp_path / "cased_tiny"
    shutil.copytree(tiny_checkpoint, by_name)
    by_file = tmp_path / "mine"
    shutil.copytree(tiny_checkpoint, by_file)
    (by_file / "tokenizer_config.json").write_text(tokenizer_config(False))
    silent_file = tmp_path / "cased_silent"
    shutil.copytree(tiny_checkpoint, silent_file)
    (silent_file / "tokenizer_config.json").write_text('{"model_max_length": 512}')
    for source in (by_name, by_file, silent_file):
        target = tmp_path / f"uncased_copy_of_{source.name.removeprefix('cased_')}"
        convert_checkpoint(source, target, to=to)
        assert FullTokenizer(target / "vocab.txt").do_lower_case is False
    convert_checkpoint(tiny_checkpoint, tmp_path / "copy", to=to)
    assert FullTokenizer(tmp_path / "copy" / "vocab.txt").do_lower_case is True


def test_conversion_to_something_else(tiny_checkpoint: Path, tmp_path: Path) -> None:
    message = refused(lambda: convert_checkpoint(tiny_checkpoint, tmp_path / "x", to="onnx"))
    assert message == "a checkpoint converts to stock or huggingface, not to 'onnx'"
    assert not (tmp_path / "x").exists()


def test_a_damaged_checkpoint_is_not_converted(folder: Path, tmp_path: Path) -> None:
    (folder / DATA_FILE).write_bytes(b"")
    assert "is damaged" in refused(lambda: convert_checkpoint(folder, tmp_path / "x", to="huggingface"))
    assert not (tmp_path / "x").exists()


@pytest.mark.real_weights
def test_the_real_checkpoint_is_whole(real_checkpoint: Path, caplog: pytest.LogCaptureFixture) -> None:
    bert = new_bert(check_checkpoint_folder(real_checkpoint))
    assert load_stock_weights(bert, real_checkpoint) == ["bert/pooler/dense/bias", "bert/pooler/dense/kernel"]
    assert not caplog.records
    assert sum(variable.numpy().size for variable in bert.weights) == 22_565_376


@needs_root
@pytest.mark.parametrize("name", ["bert_config.json", "vocab.txt"])
def test_a_file_that_may_not_be_read_is_told(tiny_checkpoint, name):
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        Path(place).chmod(0o755)
        theirs = shutil.copytree(tiny_checkpoint, Path(place) / "checkpoint")
        (theirs / name).chmod(0o600)
        with as_a_plain_user(), pytest.raises(CheckpointError) as caught:
            check_checkpoint_folder(theirs)
    assert str(caught.value) == f"can't read {theirs / name}: Permission denied"
