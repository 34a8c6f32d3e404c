"""Configs of both layouts become one set of parameters, or one sentence that says what is wrong."""

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY_CONFIG

from intent_bert.bert.config import (
    BertConfig,
    StockBertConfig,
    map_stock_config_to_params,
    params_from_pretrained_ckpt,
    read_stock_config,
    resolved_max_seq_len,
)
from intent_bert.errors import CheckpointError, SettingsError

STOCK = TINY_CONFIG | {"hidden_act": "relu", "hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.3}
STOCK |= {"initializer_range": 0.05, "layer_norm_eps": 1e-7, "type_vocab_size": 3}
HUGGINGFACE = TINY_CONFIG | {
    "model_type": "bert",
    "architectures": ["BertModel"],
    "position_embedding_type": "absolute",
}


def write(folder: Path, name: str, values: Any) -> Path:
    (folder / name).write_text(values if isinstance(values, str) else json.dumps(values), encoding="utf-8")
    return folder


# --- reading -------------------------------------------------------------------------------------------------------


def test_every_field_of_a_stock_config_finds_its_parameter(tmp_path: Path) -> None:
    assert params_from_pretrained_ckpt(write(tmp_path, "bert_config.json", STOCK)) == BertConfig(
        vocab_size=160,
        hidden_size=32,
        num_layers=4,
        num_heads=4,
        intermediate_size=64,
        intermediate_activation="relu",
        gelu_approximate=True,
        hidden_dropout=0.2,
        attention_dropout=0.3,
        max_position_embeddings=48,
        token_type_vocab_size=3,
        initializer_range=0.05,
        layer_norm_epsilon=1e-7,
        adapter_size=None,
        out_layer_ndxs=None,
    )


def test_a_stock_config_may_hold_what_the_encoder_does_not_use() -> None:
    google = {"directionality": "bidi", "pooler_fc_size": 768, "pooler_type": "first_token_transform"}
    assert StockBertConfig.from_json_string(json.dumps(STOCK | google)) == StockBertConfig(**STOCK)


def test_the_google_file_comes_before_the_hugging_face_one(tmp_path: Path) -> None:
    write(tmp_path, "config.json", HUGGINGFACE | {"num_hidden_layers": 9})
    assert read_stock_config(tmp_path).num_hidden_layers == 9
    write(tmp_path, "bert_config.json", STOCK)
    assert read_stock_config(tmp_path).num_hidden_layers == 4


@pytest.mark.parametrize(
    ("file", "written", "activation", "approximate"),
    [
        ("bert_config.json", {"hidden_act": "gelu"}, "gelu", True),
        ("bert_config.json", {"hidden_act": "gelu", "gelu_approximate": False}, "gelu", False),
        ("config.json", {"hidden_act": "gelu"}, "gelu", False),
        ("config.json", {"hidden_act": "gelu_new"}, "gelu", True),
        ("config.json", {"hidden_act": "gelu_pytorch_tanh"}, "gelu", True),
        ("config.json", {"hidden_act": "gelu_fast"}, "gelu", True),
        ("config.json", {"hidden_act": "relu"}, "relu", False),
    ],
)
def test_which_gelu_a_file_means(
    tmp_path: Path, file: str, written: dict[str, Any], activation: str, approximate: bool
) -> None:
    params = params_from_pretrained_ckpt(write(tmp_path, file, HUGGINGFACE | written))
    assert (params.intermediate_activation, params.gelu_approximate) == (activation, approximate)


@pytest.mark.parametrize("act", [("gelu", True), ("gelu", False), ("relu", False), ("tanh", False)])
def test_both_files_written_are_read_back_the_same(act: tuple[str, bool]) -> None:
    config = StockBertConfig(**STOCK | {"hidden_act": act[0], "gelu_approximate": act[1]})
    assert StockBertConfig.from_json_string(config.to_json_string()) == config
    assert StockBertConfig.from_huggingface_json(config.to_huggingface_json()) == config
    assert json.loads(config.to_huggingface_json())["model_type"] == "bert"


def test_params_go_through_a_dict_with_settings_of_their_own() -> None:
    params = map_stock_config_to_params(StockBertConfig(**STOCK))
    params.adapter_size, params.adapter_init_scale, params.out_layer_ndxs = 8, 0.01, [-1, 0]
    again = BertConfig.from_dict(json.loads(json.dumps(params.to_dict())))
    assert again == params
    assert set(params.to_dict()) == {field.name for field in fields(BertConfig)}


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(CheckpointError) as error:
        BertConfig.from_dict({"vocab_size": 9, "mask_zero": True, "adaptor_size": 4})
    assert str(error.value) == "unknown BERT setting adaptor_size, mask_zero"


# --- refusing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("bert_config.json", "{", "the BERT config is not valid JSON: Expecting property name"),
        ("bert_config.json", "[]", "the BERT config must be a JSON object with at least a vocab_size"),
        ("bert_config.json", "{}", "the BERT config must be a JSON object with at least a vocab_size"),
        (
            "bert_config.json",
            STOCK | {"embedding_size": 128},
            "the config has embedding_size, so this is ALBERT: only BERT checkpoints can be loaded",
        ),
        (
            "bert_config.json",
            STOCK | {"ln_type": "postln"},
            "the config has ln_type, so this is ALBERT: only BERT checkpoints can be loaded",
        ),
        (
            "config.json",
            HUGGINGFACE | {"model_type": "roberta"},
            "config.json says model_type 'roberta': only bert checkpoints can be loaded",
        ),
        (
            "config.json",
            HUGGINGFACE | {"position_embedding_type": "relative_key"},
            "config.json says position_embedding_type 'relative_key': only absolute positions can be loaded",
        ),
    ],
)
def test_a_file_that_is_no_bert_config(tmp_path: Path, file: str, text: Any, message: str) -> None:
    with pytest.raises(CheckpointError) as error:
        params_from_pretrained_ckpt(write(tmp_path, file, text))
    assert str(error.value).startswith(f"{tmp_path}: {message}")


def test_a_stock_config_with_an_empty_embedding_size_is_bert() -> None:
    assert StockBertConfig.from_json_string(json.dumps(STOCK | {"embedding_size": None})).hidden_size == 32


def test_a_config_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "bert_config.json").write_bytes(b'{"vocab_size": 9, "name": "\xe9"}')
    with pytest.raises(CheckpointError, match=r"bert_config\.json is not a UTF-8 text file"):
        read_stock_config(tmp_path)


def test_a_folder_without_a_config(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as error:
        params_from_pretrained_ckpt(tmp_path)
    assert str(error.value) == (f"{tmp_path} is no checkpoint folder: it has neither bert_config.json nor config.json")
    with pytest.raises(CheckpointError, match=r"no such file: .*nowhere\.json"):
        StockBertConfig.from_json_file(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 0}, "vocab_size must be a whole number above 0, not 0"),
        ({"hidden_size": "32"}, "hidden_size must be a whole number above 0, not '32'"),
        ({"num_layers": True}, "num_layers must be a whole number above 0, not True"),
        ({"max_position_embeddings": None}, "max_position_embeddings must be a whole number above 0, not None"),
        ({"token_type_vocab_size": 2.0}, "token_type_vocab_size must be a whole number above 0, not 2.0"),
        ({"num_heads": 5}, "hidden_size 32 must be a multiple of the number of attention heads, 5"),
        ({"adapter_size": 0}, "adapter_size must be a whole number above 0 or None, not 0"),
        ({"hidden_dropout": 1.0}, "hidden_dropout must be a number from 0 to below 1, not 1.0"),
        ({"attention_dropout": None}, "attention_dropout must be a number from 0 to below 1, not None"),
        ({"layer_norm_epsilon": "1e-12"}, "layer_norm_epsilon must be a number from 0 to below 1, not '1e-12'"),
        (
            {"intermediate_activation": "swish"},
            "intermediate_activation must be one of gelu, relu, tanh, linear, not 'swish'",
        ),
        ({"adapter_activation": "elu"}, "adapter_activation must be one of gelu, relu, tanh, linear, not 'elu'"),
        (
            {"out_layer_ndxs": [0, 4]},
            "out_layer_ndxs holds 4, but the encoder has 4 layers (0 to 3, or -4 to -1)",
        ),
        ({"out_layer_ndxs": [-5]}, "out_layer_ndxs holds -5, but the encoder has 4 layers (0 to 3, or -4 to -1)"),
    ],
)
def test_numbers_that_make_no_encoder(changes: dict[str, Any], message: str) -> None:
    good = asdict(map_stock_config_to_params(StockBertConfig(**STOCK)))
    BertConfig(**good).validate()
    with pytest.raises(CheckpointError) as error:
        BertConfig(**good | changes).validate()
    assert str(error.value) == message


@pytest.mark.parametrize(("asked", "expected"), [(None, 60), (3, 3), (128, 128), (np.int64(20), 20)])
def test_max_seq_len_as_asked_or_the_default(asked, expected, caplog):
    resolved = resolved_max_seq_len(asked, 60, 128)
    assert (resolved, type(resolved), caplog.messages) == (expected, int, [])


def test_a_default_above_the_positions_is_lowered_with_a_word(caplog):
    with caplog.at_level("INFO"):
        assert resolved_max_seq_len(None, 60, 48) == 48
    assert caplog.messages == ["max_seq_len is 48, for the checkpoint has no more positions (the default is 60)"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (129, "length must be 3 to 128 tokens for this checkpoint, not 129"),
        (2, "length must be 3 to 128 tokens for this checkpoint, not 2"),
        (12.5, "length must be a whole number, not 12.5"),
        (True, "length must be a whole number, not True"),
    ],
)
def test_what_was_asked_for_is_never_changed(asked, message):
    with pytest.raises(SettingsError) as caught:
        resolved_max_seq_len(asked, 60, 128, "length")
    assert str(caught.value) == message


@pytest.mark.parametrize("name", ["bert_config.json", "config.json"])
def test_a_config_that_is_nested_too_deep_is_told(tmp_path, name):
    (tmp_path / name).write_text("[" * 100_000)
    with pytest.raises(CheckpointError) as caught:
        read_stock_config(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: the BERT config is nested too deep: expected an object of numbers and texts"
    )
