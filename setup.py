"""Packaging; the tools' settings are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (ROOT / "intent_bert/version.py").read_text(encoding="utf-8"))[1]

REQUIRED = [  # scripts/oldest_supported runs the tests with the lower bounds
    "tensorflow>=2.18",
    "keras>=3.8",
    "tensorboard>=2.18",
    "onnx>=1.17",
    "onnxruntime>=1.21",
    "numpy>=1.26",
    "pandas>=2.2",
    "scikit-learn>=1.6",
    "scipy>=1.11",
    "matplotlib>=3.8",
    "tokenizers>=0.20",
    "safetensors>=0.4.3",
    "h5py>=3.11",
    "tqdm>=4.66",
    "pooch>=1.8",
    "requests>=2.31",
    "platformdirs>=4.0",
    "gdown>=5.2",
    "pyarrow>=15.0",
    "jinja2>=3.1",
    "pyyaml>=6.0",
]
WORD2VEC = ["gensim>=4.3.3"]  # 4.3.3 goes with numpy 1, 4.4 with 1 and 2
RAY = ["ray[data]>=2.44"]
SERVE = ["starlette>=0.41", "uvicorn>=0.30", "prometheus-client>=0.20"]
OPENVINO = ["openvino>=2025.0"]
ONNX_STRINGS = ["onnxruntime-extensions>=0.13"]
SIGN = ["cryptography>=43"]
DOCS = ["mkdocs>=1.6,<2", "mkdocs-material>=9.6", "mkdocstrings[python]>=0.30", "mkdocs-jupyter>=0.25"]
TEST = [
    *WORD2VEC,
    *DOCS,
    *SERVE,
    *OPENVINO,
    *ONNX_STRINGS,
    *SIGN,
    "httpx>=0.27",  # starlette's test client
    "cleanlab>=2.7",  # the judge of doctor's label errors
    "types-PyYAML",
    "ray[data]>=2.44; python_version < '3.14'",
    "pytest>=8.0",
    "pytest-xdist>=3.6",
    "ruff>=0.12",
    "mypy>=1.15",
    "pandas-stubs",
    "types-requests",
    "types-tqdm",
    "nbclient>=0.10",
    "ipykernel>=6.29",
    "jax[cpu]>=0.4.30",  # the encoder and the head run on it as well
]

setup(
    name="intent_bert",
    version=VERSION,
    description="Fine-tune a BERT checkpoint into a trusted intent recogniser, on Keras 3 and TensorFlow 2",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["intent_bert", "intent_bert.*"]),
    package_data={"intent_bert": ["data/shipped/*/*", "workbench/templates/*", "py.typed"]},
    install_requires=REQUIRED,
    extras_require={
        "word2vec": WORD2VEC,
        "ray": RAY,
        "serve": SERVE,
        "openvino": OPENVINO,
        "onnx-strings": ONNX_STRINGS,
        "sign": SIGN,
        "docs": DOCS,
        "test": TEST,
    },
    entry_points={"console_scripts": ["intent-bert = intent_bert.cli:main"]},
)
