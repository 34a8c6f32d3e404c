"""What this machine has, and how a training run uses it: threads, memory, number format.

To be asked before TensorFlow's first operation, which fixes its threads. What each of these brings is in docs/speed.md.
"""

import ctypes
import os
import platform
from pathlib import Path
from typing import Any

MOST_CORES = 4  # on more of them the micro-batches are too small, and TensorFlow's own way is better
_TOP_PAD, _KEPT_BYTES = -2, 64 << 20  # of mallopt
_CPU_INFO = Path("/proc/cpuinfo")


def divide_the_cores() -> int:
    """Set TensorFlow to one thread an operation where that pays, and say into how many micro-batches to cut a batch.

    TensorFlow splits each operation over all cores. The operations of a small BERT are short, and dividing each costs
    more than it saves: it is better to cut the batch and to run the micro-batches side by side.

    Returns:
        The number of cores, on a machine of two to four without a GPU; 1, with TensorFlow's threads as they are, on
        any other, or where TensorFlow has already started or somebody has set its threads.
    """
    import tensorflow as tf

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not 2 <= cores <= MOST_CORES or tf.config.list_physical_devices("GPU"):
        return 1
    threads = tf.config.threading
    if (threads.get_intra_op_parallelism_threads(), threads.get_inter_op_parallelism_threads()) == (0, 0):
        try:
            threads.set_intra_op_parallelism_threads(1)
            threads.set_inter_op_parallelism_threads(cores)
        except RuntimeError:  # TensorFlow has started
            return 1
    found = (threads.get_intra_op_parallelism_threads(), threads.get_inter_op_parallelism_threads())
    return cores if found == (1, cores) else 1


def batches_side_by_side() -> int:
    """How many batches to compute at a time: as many as there are cores where ``divide_the_cores`` has given each
    operation one of them, else 1. Starts nothing.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    threads = tf.config.threading
    alone = threads.get_intra_op_parallelism_threads() == 1
    return max(threads.get_inter_op_parallelism_threads(), 1) if alone else 1


def strategy_here() -> Any:
    """A ``MirroredStrategy`` over all GPUs where there are several, else TensorFlow's default: one device."""
    import tensorflow as tf

    several = len(tf.config.list_physical_devices("GPU")) > 1
    return tf.distribute.MirroredStrategy() if several else tf.distribute.get_strategy()


def keep_freed_memory() -> None:
    """Let the C library keep 64 MB of freed memory instead of giving it back and asking for it at each step (7 %)."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(_TOP_PAD, _KEPT_BYTES)


def precision_here(precision: str) -> str:
    """What "auto" means here: bfloat16 where the GPU or the CPU computes it, or else float32. Others stay."""
    import tensorflow as tf

    if precision != "auto":
        return precision

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        major, _ = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
        return "bfloat16" if major >= 8 else "mixed_float16" if major == 7 else "float32"
    return "bfloat16" if cpu_multiplies_bfloat16() else "float32"


def cpu_multiplies_bfloat16() -> bool:
    """Whether this processor has products of bfloat16; False where nothing tells it."""
    try:
        flags = _CPU_INFO.read_text(encoding="utf-8").split()
    except OSError:
        return False
    return bool({"avx512_bf16", "amx_bf16"} & set(flags))
