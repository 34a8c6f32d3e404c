"""The rate of TensorFlow's matrix product (oneDNN) in float32 and bfloat16."""

import tensorflow as tf
from protocol import Request, best_gflops, report

SIZES = (1024, 2048, 4096)


def rate(dtype: tf.DType, size: int) -> float:
    a, b = (tf.cast(tf.random.normal((size, size)), dtype) for _ in range(2))
    product = tf.function(lambda: tf.linalg.matmul(a, b)[0, 0], jit_compile=False)
    return best_gflops(lambda: product().numpy(), size)


def main() -> None:
    Request.read()
    rates = {dtype.name: max(rate(dtype, size) for size in SIZES) for dtype in (tf.float32, tf.bfloat16)}
    report(rates, "tensorflow")


if __name__ == "__main__":
    main()
