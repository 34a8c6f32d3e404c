"""A model whose encoder runs on several micro-batches side by side, for a fit on a few cores.

    batch (B, T) -> embeddings -> cut into micro-batches -> encoder layers -> joined -> head -> probabilities (B, C)
                                  kernels cast to compute_dtype -┘ once for all of them

Gradients are those of the whole batch: those of the micro-batches are added, before the gradient of the cast. What it
brings is in docs/speed.md. Who asks for how many is not this module's business.
"""

import itertools
from functools import partial
from typing import Any

import keras
from keras import ops

from intent_bert.bert.backend import traced_once
from intent_bert.bert.encoder import BertModelLayer
from intent_bert.bert.layers import PACKAGE, BertDense, Kernels


def micro_batched(model: keras.Model, number: int) -> keras.Model:
    """The same model to fit: its encoder cuts each batch into ``number`` micro-batches of about the same size.

    Both models hold the same layers and weights, under the same paths and in the same order, and their weight files
    are alike: what one learns the other knows. The new one is not compiled. It is for a fit and what goes on beside
    it; anything else takes the model as it was.

    Args:
        model: a functional model that hands its inputs to a BertModelLayer named "bert", as ``create_model`` gives it.
        number: of micro-batches; 1 gives the model back as it is.
    """
    return model if number == 1 else MicroBatchedModel(model, number)


@keras.saving.register_keras_serializable(PACKAGE)
class MicroBatchedModel(keras.Model):
    """The functional model that it is made from, with another way through it; see ``micro_batched``.

    Saved and loaded it is a plain ``keras.Model``.
    """

    def __init__(self, model: keras.Model, number: int) -> None:
        super().__init__(model.input, model.output, name=model.name)
        bert = model.get_layer("bert")
        read = keras.Model(model.inputs, [bert.input, *model.inputs])
        head = keras.Model([*_in_list(bert.output), *model.inputs], model.output)

        def through(inputs: Any, training: bool | None, mask: Any) -> Any:
            bert_input, *others = read(inputs if isinstance(inputs, dict) else keras.tree.flatten(inputs))
            states = encode_in_micro_batches(bert, bert_input, number, mask, training)
            return head([*_in_list(states), *others], training=training)

        self._through = through  # a function, so that Keras tracks no layer here that it doesn't know already

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        return self._through(inputs, training, mask)

    def get_config(self) -> dict[str, Any]:
        return keras.Model(self.input, self.output, name=self.name).get_config()

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> keras.Model:
        return keras.Model.from_config(config, custom_objects)


def encode_in_micro_batches(
    bert: BertModelLayer, inputs: Any, number: int, mask: Any = None, training: bool | None = None
) -> Any:
    """What ``bert(inputs)`` gives, computed on this many micro-batches."""
    x, attention_bias = bert.embed(inputs, mask, training)
    encode = traced_once(
        partial(bert.encode, training=training, kernels=cast_kernels(bert)),
        [((None, None, bert.config.hidden_size), "float32"), ((None, 1, 1, None), "float32")],
    )
    pairs = zip(_cut(x, number), _cut(attention_bias, number), strict=True)
    encoded = [encode(*pair) for pair in pairs]
    return bert.result_of([ops.concatenate(states, axis=0) for states in zip(*encoded, strict=True)])


def cast_kernels(bert: BertModelLayer) -> Kernels:
    """The kernels of all dense layers in their ``compute_dtype``."""
    denses = [layer for layer in bert._flatten_layers() if isinstance(layer, BertDense)]
    return {dense.kernel.path: dense.cast_kernel() for dense in denses}


def _in_list(one_or_several: Any) -> list[Any]:
    return one_or_several if isinstance(one_or_several, list) else [one_or_several]


def _cut(x: Any, number: int) -> list[Any]:
    """A batch cut into so many of about the same size; some are empty where it has fewer rows."""
    rows = ops.shape(x)[0]
    ends = [rows * place // number for place in range(number + 1)]
    return [x[start:end] for start, end in itertools.pairwise(ends)]
