"""Hidden states of the bert-for-tf2 package, an encoder that this project did not write.

    TF_USE_LEGACY_KERAS=1 python bert_for_tf2_reference.py CHECKPOINT_FOLDER CASES.npz STATES.npz

``CASES.npz`` holds ``CASE/input_ids``, ``CASE/token_type_ids`` and, where there is one, ``CASE/mask``, each (B, T);
``adapters/NAME`` arrays are weights of Houlsby adapters, which switch the adapters on. ``STATES.npz`` receives
``CASE/layer_0``, ``CASE/layer_1``, ...: the output (B, T, H) of every encoder layer.

bert-for-tf2 0.14.9 imports ``tensorflow.python.keras``, which no longer exists as it knew it; it gets tf_keras under
that name. So it runs in a process of its own, never beside Keras 3.
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras

sys.modules["tensorflow.python.keras"] = tf_keras
sys.modules["tensorflow.python.keras.backend"] = tf_keras.backend
sys.modules["tensorflow.python"].keras = tf_keras

import bert  # noqa: E402


def stock_params(folder: Path) -> bert.BertModelLayer.Params:
    """The parameters, from ``bert_config.json``; its own reader stumbles over a ``tokenizer_config.json`` beside it."""
    text = (folder / "bert_config.json").read_text(encoding="utf-8")
    params = bert.StockBertConfig.from_json_string(text).to_bert_model_layer_params()
    params.out_layer_ndxs = list(range(params.num_layers))
    return params


def assign_adapters(layer: bert.BertModelLayer, adapters: dict[str, np.ndarray]) -> None:
    variables = {variable.name.removesuffix(":0"): variable for variable in layer.weights}
    for name, value in adapters.items():
        variables[name].assign(value)


def hidden_states(folder: Path, case: dict[str, np.ndarray], adapters: dict[str, np.ndarray]) -> list[np.ndarray]:
    params = stock_params(folder)
    sizes = [value.shape[0] for name, value in adapters.items() if name.endswith("adapter-down/bias")]
    params.adapter_size = sizes[0] if sizes else None
    layer = bert.BertModelLayer.from_params(params, name="bert")
    inputs = [tf.constant(case["input_ids"]), tf.constant(case["token_type_ids"])]
    mask = tf.constant(case["mask"]) if "mask" in case else None
    layer(inputs, mask=mask, training=False)  # makes the weights
    if bert.load_stock_weights(layer, str(folder / "bert_model.ckpt")):
        raise ValueError("the checkpoint does not fit")
    assign_adapters(layer, adapters)
    return [state.numpy() for state in layer(inputs, mask=mask, training=False)]


def main() -> None:
    folder, cases_file, states_file = map(Path, sys.argv[1:])
    cases: dict[str, dict[str, np.ndarray]] = {}
    with np.load(cases_file) as arrays:
        for key in arrays.files:
            case, name = key.split("/", 1)
            cases.setdefault(case, {})[name] = arrays[key]
    adapters = cases.pop("adapters", {})
    states = {
        f"{name}/layer_{index}": state
        for name, case in cases.items()
        for index, state in enumerate(hidden_states(folder, case, adapters))
    }
    np.savez(states_file, **states)


if __name__ == "__main__":
    main()
