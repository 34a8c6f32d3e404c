"""AdamW as TensorFlow's fused kernel, with the schedule of its learning rate.

The rule is that of Loshchilov & Hutter, "Decoupled Weight Decay Regularization" (arXiv:1711.05101), with the
hyperparameters and the interface of ``keras.optimizers.AdamW``. Keras computes each update as some ten operations
over the whole weight; here it is one on TensorFlow. A gradient that comes as rows (the word embeddings': a batch holds
a few hundred words of thirty thousand) updates these rows alone, their moments included, as "lazy" Adam does: rows rest
while their word is not seen. On another backend the update is Keras' own.
"""

from typing import Any

import keras
from keras import ops

from intent_bert.bert.backend import fused_adam, on_tensorflow
from intent_bert.bert.layers import PACKAGE

NOT_DECAYED = ["bias", "gamma", "beta", "embeddings"]  # weight decay is for the kernels


def adamw(
    learning_rate: float,
    steps: int,
    *,
    warmup: float = 0.1,
    decay: bool = True,
    weight_decay: float = 0.0,
    head_learning_rate_multiplier: float = 1.0,
) -> "AdamW":
    """The optimizer of ``train`` with its schedule, for those who write ``compile`` and ``fit`` themselves.

    The learning rate rises in a straight line over the first steps and then falls in one to 0.

    Args:
        learning_rate: the highest one, such as 5e-5.
        steps: training steps of the whole fit: epochs times batches in an epoch.
        warmup: the share of the steps in which the learning rate rises, 0 to 1.
        decay: whether it falls afterwards; else it stays where it is.
        weight_decay: what share of itself, times the learning rate, a kernel loses at each step; biases, LayerNorms
            and embeddings lose nothing.
        head_learning_rate_multiplier: the learning rate of weights outside of the encoder (whose path doesn't start
            with "bert/") is this many times as high.

    >>> optimizer = adamw(0.01, steps=3 * 50, head_learning_rate_multiplier=10)
    >>> round(float(optimizer.learning_rate), 6)  # of the first of 15 rising steps
    0.000667
    """
    rate: Any = learning_rate
    if decay or warmup:
        rate = WarmupThenDecay(learning_rate, round(warmup * steps), steps if decay else 0)
    optimizer = AdamW(
        rate,
        weight_decay=weight_decay,
        epsilon=1e-7,
        head_learning_rate_multiplier=head_learning_rate_multiplier,
    )
    optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
    return optimizer


@keras.saving.register_keras_serializable(PACKAGE)
class WarmupThenDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Rise in a straight line over ``warmup`` steps, then fall in one to 0 at ``total`` (0: stay)."""

    def __init__(self, highest: float, warmup: int, total: int) -> None:
        self.highest, self.warmup, self.total = highest, warmup, total

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")
        rising = (step + 1) / max(self.warmup, 1) if self.warmup else 1.0
        falling = (self.total - step) / max(self.total - self.warmup, 1) if self.total else 1.0
        return self.highest * ops.clip(ops.minimum(rising, falling), 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        return {"highest": self.highest, "warmup": self.warmup, "total": self.total}


@keras.saving.register_keras_serializable(PACKAGE)
class AdamW(keras.optimizers.AdamW):
    """``keras.optimizers.AdamW`` with a cheaper update; the same arguments, and one more.

    Args:
        head_learning_rate_multiplier: the step of weights outside of the pretrained encoder (whose path doesn't start
            with "bert/") is this many times as large: they have everything to learn, the encoder little.
    """

    def __init__(self, *arguments: Any, head_learning_rate_multiplier: float = 1.0, **kwargs: Any) -> None:
        super().__init__(*arguments, **kwargs)
        self.head_learning_rate_multiplier = head_learning_rate_multiplier

    def build(self, variables: Any) -> None:
        super().build(variables)
        self._is_head = [not variable.path.startswith("bert/") for variable in variables]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "head_learning_rate_multiplier": self.head_learning_rate_multiplier}

    def _apply_weight_decay(self, variables: Any) -> None:
        if self.weight_decay:  # no pass over the weights for a decay of 0
            super()._apply_weight_decay(variables)

    @property
    def _is_fused(self) -> bool:
        return not self.amsgrad and on_tensorflow()

    def _backend_update_step(self, gradients: Any, variables: Any, learning_rate: Any) -> None:
        if self._is_fused:  # the moments' bias correction is the same for all weights: it goes into their one rate
            step = ops.cast(self.iterations + 1, learning_rate.dtype)
            learning_rate *= ops.sqrt(1 - self.beta_2**step) / (1 - self.beta_1**step)
        super()._backend_update_step(gradients, variables, learning_rate)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        index = self._get_variable_index(variable)
        if self._is_head[index]:
            learning_rate = learning_rate * self.head_learning_rate_multiplier
        moments = self._momentums[index], self._velocities[index]
        if not (self._is_fused and fused_adam(variable, moments, gradient, learning_rate, self)):
            super().update_step(gradient, variable, learning_rate)
