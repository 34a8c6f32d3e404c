"""Threads, memory and number format of a run; threads are TensorFlow's for good, so in processes of their own."""

import ctypes
import json
import os
import platform
import subprocess
import sys

import pytest

from intent_bert import machine

DIVIDE = """
import json, os, sys
cores, before = int(sys.argv[1]), sys.argv[2]
os.sched_getaffinity = lambda process: set(range(cores))
import tensorflow as tf
from intent_bert.machine import divide_the_cores
exec(before)
parts = divide_the_cores()
print(json.dumps([parts, divide_the_cores(), float(tf.reduce_sum(tf.ones((3, 4)) @ tf.ones((4, 2)))),
    tf.config.threading.get_intra_op_parallelism_threads(), tf.config.threading.get_inter_op_parallelism_threads()]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cores", "before", "parts", "threads"),
    [
        (2, "", 2, [1, 2]),
        (4, "", 4, [1, 4]),
        (1, "", 1, [0, 0]),
        (8, "", 1, [0, 0]),
        (2, "tf.config.threading.set_intra_op_parallelism_threads(2)", 1, [2, 0]),
        (2, "tf.ones(1) + 1", 1, [0, 0]),
    ],
    ids=["two", "four", "one", "many", "set by somebody", "started"],
)
def test_the_cores_are_divided_only_where_that_is_known_to_pay(cores, before, parts, threads):
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(
        [sys.executable, "-c", DIVIDE, str(cores), before], env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [parts, parts, 24.0, *threads]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("flags\t: sse avx512_bf16 fma", "bfloat16"), ("flags : amx_bf16", "bfloat16"), ("flags : avx512f", "float32")],
)
def test_auto_is_bfloat16_where_the_cpu_multiplies_in_it(tmp_path, monkeypatch, flags, expected):
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    monkeypatch.setattr(machine, "_CPU_INFO", tmp_path / "cpuinfo")
    assert machine.precision_here("auto") == "float32"
    (tmp_path / "cpuinfo").write_text(f"processor : 0\n{flags}\n")
    assert machine.precision_here("auto") == expected
    assert machine.precision_here("mixed_float16") == "mixed_float16"


@pytest.mark.parametrize(
    ("capability", "expected"),
    [((9, 0), "bfloat16"), ((8, 0), "bfloat16"), ((7, 5), "mixed_float16"), ((6, 1), "float32")],
)
def test_auto_asks_the_gpu_where_there_is_one(monkeypatch, capability, expected):
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a GPU"])
    details = {"compute_capability": capability}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details)
    assert machine.precision_here("auto") == expected


def test_freed_memory_is_kept_by_glibc_and_left_alone_elsewhere(monkeypatch):
    asked = []

    class Library:
        def mallopt(self, *arguments):
            asked.append(arguments)

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library())
    monkeypatch.setattr(platform, "libc_ver", lambda: ("musl", ""))
    machine.keep_freed_memory()
    assert asked == []
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.36"))
    machine.keep_freed_memory()
    assert asked == [(-2, 64 << 20)]  # M_TOP_PAD of malloc.h
