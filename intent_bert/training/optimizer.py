"""AdamW as TensorFlow's fused kernel, and for word embeddings only the rows that a batch touches.

The rule is that of Loshchilov & Hutter, "Decoupled Weight Decay Regularization" (arXiv:1711.05101), with the
hyperparameters and the interface of ``keras.optimizers.AdamW``. Keras computes each update as some ten operations
over the whole weight; here it is one. A gradient that comes as rows (the word embeddings': a batch holds a few
hundred words of thirty thousand) updates these rows alone, their moments included, as "lazy" Adam does: rows rest
while their word is not seen.
"""

from typing import Any

import keras
import tensorflow as tf

from intent_bert.bert.layers import PACKAGE


@keras.saving.register_keras_serializable(PACKAGE)
class AdamW(keras.optimizers.AdamW):
    """``keras.optimizers.AdamW`` with a cheaper update; the same arguments, and one more.

    Args:
        new_weights_factor: the step of weights outside of the pretrained encoder (whose path doesn't start with
            "bert/") is this many times as large: they have everything to learn, the encoder little.
    """

    def __init__(self, *arguments: Any, new_weights_factor: float = 1.0, **kwargs: Any) -> None:
        super().__init__(*arguments, **kwargs)
        self.new_weights_factor = new_weights_factor

    def build(self, variables: Any) -> None:
        super().build(variables)
        self._is_new = [not variable.path.startswith("bert/") for variable in variables]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "new_weights_factor": self.new_weights_factor}

    def _apply_weight_decay(self, variables: Any) -> None:
        if self.weight_decay:  # no pass over the weights for a decay of 0
            super()._apply_weight_decay(variables)

    @property
    def _is_fused(self) -> bool:
        return not self.amsgrad and keras.backend.backend() == "tensorflow"

    def _backend_update_step(self, gradients: Any, variables: Any, learning_rate: Any) -> None:
        if self._is_fused:  # the moments' bias correction is the same for all weights: it goes into their one rate
            step = tf.cast(self.iterations + 1, learning_rate.dtype)
            learning_rate *= tf.sqrt(1 - self.beta_2**step) / (1 - self.beta_1**step)
        super()._backend_update_step(gradients, variables, learning_rate)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        index = self._get_variable_index(variable)
        if self._is_new[index]:
            learning_rate = learning_rate * self.new_weights_factor
        if not self._is_fused:
            super().update_step(gradient, variable, learning_rate)
            return
        weight = variable.value if isinstance(variable, keras.Variable) else variable
        state = {"m": self._momentums[index].value, "v": self._velocities[index].value}
        rate = tf.cast(learning_rate, variable.dtype)
        if isinstance(gradient, tf.IndexedSlices):
            self._update_rows(gradient, weight, state, rate)
            return
        tf.raw_ops.ResourceApplyAdam(
            var=weight.handle,
            m=state["m"].handle,
            v=state["v"].handle,
            beta1_power=0.0,
            beta2_power=0.0,
            lr=rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, variable.dtype),
        )

    def _update_rows(self, gradient: tf.IndexedSlices, weight: tf.Variable, state: dict, rate: tf.Tensor) -> None:
        rows, places = tf.unique(tf.reshape(gradient.indices, [-1]))
        values = tf.reshape(gradient.values, [-1, weight.shape[-1]])
        summed = tf.math.unsorted_segment_sum(values, places, tf.size(rows))  # (rows, H)
        m = self.beta_1 * tf.gather(state["m"], rows) + (1 - self.beta_1) * summed
        v = self.beta_2 * tf.gather(state["v"], rows) + (1 - self.beta_2) * tf.square(summed)
        state["m"].scatter_update(tf.IndexedSlices(m, rows))
        state["v"].scatter_update(tf.IndexedSlices(v, rows))
        weight.scatter_sub(tf.IndexedSlices(rate * m / (tf.sqrt(v) + self.epsilon), rows))
