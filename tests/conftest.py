"""What the tests share: a tiny stock checkpoint made on the spot, a small table, and the places of real things."""

import json
import os
import signal
import string
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd
import pytest

from intent_bert.bert.checkpoint import CHECKPOINT_PREFIX, write_stock_weights
from intent_bert.files.cache import checkpoint_folder, data_folder

signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores Ctrl-C

LONGEST_FIRST = (
    "test_notebooks.py",
    "test_docs.py",
    "test_kill_runs.py",
    "test_ray.py",
    "test_comparison.py",
    "test_run.py",
)
TINY_CONFIG = {
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 32,
    "initializer_range": 0.02,
    "intermediate_size": 64,
    "max_position_embeddings": 48,
    "num_attention_heads": 4,
    "num_hidden_layers": 4,
    "type_vocab_size": 2,
    "vocab_size": 160,
}
TINY_WORDS = """
    play music song add playlist rate book weather rain sunny table restaurant find movie show the a my to of in
    for this me stars will it be please at now tomorrow
""".split()  # noqa: SIM905
QUICK = {
    "epochs": 8,
    "learning_rate": 2e-3,
    "dropout": 0.0,
    "batch_size": 8,
    "max_seq_len": 32,
    "head_learning_rate_multiplier": 1.0,
}
PHRASES = {
    "music": ["play music", "play the song", "play my song now", "play a song please", "music for me now"],
    "weather": ["will it rain", "rain tomorrow", "will it be sunny", "weather in the park", "sunny weather now"],
    "table": ["book a table", "table for me", "restaurant table at noon", "find a restaurant", "book the restaurant"],
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of minutes first: of two workers none is left with them when the other has nothing more to do."""
    items.sort(key=lambda item: LONGEST_FIRST.index(item.path.name) if item.path.name in LONGEST_FIRST else 99)


def tiny_vocab() -> list[str]:
    letters = [*string.ascii_lowercase, *string.digits, *".,!?'-"]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *TINY_WORDS]
    tokens += letters + [f"##{letter}" for letter in letters]
    return tokens + [f"[unused{number}]" for number in range(TINY_CONFIG["vocab_size"] - len(tokens))]


def tiny_weights(config: dict = TINY_CONFIG, seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights under Google's names, the pooler and a pre-training head among them."""
    rng = np.random.default_rng(seed)
    width, inner = config["hidden_size"], config["intermediate_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "bert/embeddings/word_embeddings": (config["vocab_size"], width),
        "bert/embeddings/token_type_embeddings": (config["type_vocab_size"], width),
        "bert/embeddings/position_embeddings": (config["max_position_embeddings"], width),
        "bert/pooler/dense/kernel": (width, width),
        "bert/pooler/dense/bias": (width,),
        "cls/predictions/output_bias": (config["vocab_size"],),
    }
    norms = ["bert/embeddings/LayerNorm"]
    for index in range(config["num_hidden_layers"]):
        base = f"bert/encoder/layer_{index}"
        dense = {f"attention/self/{name}": (width, width) for name in ("query", "key", "value")}
        dense |= {"attention/output/dense": (width, width), "intermediate/dense": (width, inner)}
        dense |= {"output/dense": (inner, width)}
        for name, shape in dense.items():
            shapes |= {f"{base}/{name}/kernel": shape, f"{base}/{name}/bias": shape[1:]}
        norms += [f"{base}/attention/output/LayerNorm", f"{base}/output/LayerNorm"]
    arrays = {name: rng.normal(0, 0.15, shape).astype("float32") for name, shape in shapes.items()}
    for norm in norms:
        arrays[f"{norm}/gamma"] = rng.normal(1, 0.1, width).astype("float32")
        arrays[f"{norm}/beta"] = rng.normal(0, 0.1, width).astype("float32")
    return arrays


def write_tiny_checkpoint(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bert_config.json").write_text(json.dumps(TINY_CONFIG))
    (folder / "vocab.txt").write_text("\n".join(tiny_vocab()) + "\n")
    write_stock_weights(tiny_weights(), folder / CHECKPOINT_PREFIX)
    return folder


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stock checkpoint folder (uncased, 4 layers of 32). Not to be written to; copy it first."""
    return write_tiny_checkpoint(tmp_path_factory.mktemp("checkpoints") / "uncased_tiny")


@pytest.fixture(scope="session")
def quick_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As ``tiny_checkpoint``, with one layer and no dropout: learns ``small_table`` in seconds with ``QUICK``."""
    folder = tmp_path_factory.mktemp("checkpoints") / "uncased_quick"
    folder.mkdir()
    config = {**TINY_CONFIG, "num_hidden_layers": 1, "hidden_dropout_prob": 0, "attention_probs_dropout_prob": 0}
    (folder / "bert_config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("\n".join(tiny_vocab()) + "\n")
    write_stock_weights(tiny_weights(config), folder / CHECKPOINT_PREFIX)
    return folder


@pytest.fixture(scope="session")
def small_table() -> pd.DataFrame:
    """Ninety sentences of three intents that a tiny encoder can learn, columns text and intent."""
    rows = [
        (f"{phrase} {ending}".strip(), intent)
        for intent, phrases in PHRASES.items()
        for phrase in phrases
        for ending in ("", "please", "now", "!", "tomorrow", "for me")
    ]
    return pd.DataFrame(rows, columns=["text", "intent"]).drop_duplicates("text", ignore_index=True)


@pytest.fixture(scope="session")
def trained(quick_checkpoint: Path, small_table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The ``TrainingResult`` of one run on ``small_table``, with a test file; its folder is not to be written to."""
    from intent_bert import TrainingConfig, train

    folder = tmp_path_factory.mktemp("trained")
    test = small_table.iloc[::6]
    test.to_csv(folder / "test.csv", index=False)
    small_table.drop(test.index).to_csv(folder / "train.csv", index=False)
    files = {"train_file": str(folder / "train.csv"), "test_file": str(folder / "test.csv")}
    config = TrainingConfig.from_recipe(
        "default", **files, checkpoint=str(quick_checkpoint), output_dir=str(folder / "model"), **QUICK
    )
    return train(config, verbose=0)


@pytest.fixture(scope="session")
def several(quick_checkpoint: Path, small_table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """As ``trained``, of a multi-label run that mixes its sentences; two test rows have two labels, one has none."""
    from intent_bert import TrainingConfig, train

    folder = tmp_path_factory.mktemp("several")
    test = small_table.iloc[::6]
    more = [("play music and will it rain", "weather|music"), ("book a table. play my song", "table|music"), ("a", "")]
    pd.concat([test, pd.DataFrame(more, columns=test.columns)]).to_csv(folder / "test.csv", index=False)
    small_table.drop(test.index).to_csv(folder / "train.csv", index=False)
    files = {"train_file": str(folder / "train.csv"), "test_file": str(folder / "test.csv")}
    settings = {**QUICK, "epochs": 16, "multi_label": True, "mix": 1.0, "output_dir": str(folder / "model")}
    return train(TrainingConfig(**files, checkpoint=str(quick_checkpoint), **settings), verbose=0)


@pytest.fixture(scope="session")
def real_checkpoint() -> Path:
    """The real all-MiniLM-L6-v2, in the stock layout, where scripts/test has fetched it."""
    folder = checkpoint_folder() / "all-MiniLM-L6-v2"
    if not folder.is_dir():
        pytest.skip("all-MiniLM-L6-v2 is not here: intent-bert download all-MiniLM-L6-v2 fetches it")
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The data folder, where SNIPS is in it."""
    folder = data_folder()
    if not (folder / "snips" / "train.csv").is_file():
        pytest.skip("SNIPS is not in the data folder: intent-bert download snips fetches it")
    return folder
