"""Rules of the house: names that users import, imports that point down, examples that run, what `import` costs."""

import ast
import doctest
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import intent_bert
import intent_bert.bert

PACKAGE = Path(intent_bert.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    for path in PACKAGE.rglob("*.py")
    if path.stem != "__init__"
)
ORDER = [  # each may use only those above it
    "errors",
    "folders",
    "bert.config",
    "bert.tokenization",
    "bert.gradients",
    "bert.layers",
    "bert.checkpoint",
    "bert.pretrained",
    "settings",
    "machine",
    "progress",
    "batches",
    "tables",
    "data",
    "datasets",
    "model_folder",
    "model",
    "engine",
    "optimizer",
    "resume",
    "evaluation",
    "plots",
    "artifact",
    "onnx_graph",
    "export",
    "tensorboard",
    "card",
    "frozen",
    "fitting",
    "training",
    "prediction",
    "scoring",
    "classifier",
    "features",
    "word_vectors",
    "significance",
    "advice",
    "rivals",
    "comparison",
    "cli",
]


def test_exported_names_are_pinned():
    assert sorted(intent_bert.__all__) == [
        "Answer", "BertConfig", "BertModelLayer", "BertTransformer", "CompareConfig", "Comparison", "Evaluation",
        "FullTokenizer", "IntentBertError", "IntentClassifier", "IntentDetectionData", "IntentPredictor",
        "StockBertConfig", "TrainingConfig", "WordVectorTransformer", "__version__", "compare", "create_model",
        "evaluate_probabilities", "export_model", "load_stock_weights", "map_stock_config_to_params",
        "params_from_pretrained_ckpt", "read_table", "split_table", "train",
    ]  # fmt: skip
    assert sorted(intent_bert.bert.__all__) == [
        "BertConfig", "BertModelLayer", "FullTokenizer", "StockBertConfig", "convert_checkpoint", "fetch",
        "load_stock_weights", "map_stock_config_to_params", "params_from_pretrained_ckpt",
    ]  # fmt: skip
    for package in (intent_bert, intent_bert.bert):
        for name in package.__all__:
            assert getattr(package, name) is not None
        assert dir(package) == sorted(package.__all__)
        with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
            package.nothing  # noqa: B018


# --- the order of the files --------------------------------------------------------------------------------------


def imports_of(source: str) -> set[str]:
    """The modules of this package that a source uses, as ``bert.layers``; "" is the package itself."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        ours = [name for name in names if name.split(".")[0] == "intent_bert"]
        modules = {name.removeprefix("intent_bert.") for name in ours if name.removeprefix("intent_bert.") in MODULES}
        found |= modules or ({""} if ours else set())
    return found


def arrows_up(module: str, source: str) -> list[str]:
    place = ORDER.index(module)
    return [used for used in sorted(imports_of(source)) if used and ORDER.index(used) >= place]


def test_every_module_has_its_place():
    assert sorted(ORDER) == MODULES


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module):
    source = (PACKAGE / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
    assert arrows_up(module, source) == []
    package_names = {
        alias.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module in ("intent_bert", "intent_bert.bert")
        for alias in node.names
        if f"{node.module}.{alias.name}".removeprefix("intent_bert.") not in MODULES
    }
    assert package_names <= {"__version__"}, "a module imports from the module, not through the package"


def test_an_arrow_that_points_up_would_be_seen():
    assert arrows_up("data", "from intent_bert.model import create_model") == ["model"]
    assert arrows_up("data", "def f():\n    from intent_bert import training as t, errors") == ["training"]
    assert arrows_up("data", "import intent_bert.cli") == ["cli"]
    assert arrows_up("bert.layers", "from intent_bert.bert import checkpoint") == ["bert.checkpoint"]
    assert arrows_up("data", "from intent_bert.errors import DataError\nimport keras") == []


def test_modules_open_by_saying_what_they_do():
    for module in MODULES:
        docstring = ast.get_docstring(ast.parse((PACKAGE / f"{module.replace('.', '/')}.py").read_text("utf-8")))
        assert docstring, module
        assert docstring.split("\n")[0].endswith((".", "?", "!", ":")), module


# --- examples ----------------------------------------------------------------------------------------------------


def test_docstring_examples_run(real_checkpoint):
    import numpy

    from intent_bert.bert import FullTokenizer

    shared = {"tokenizer": FullTokenizer(real_checkpoint / "vocab.txt"), "folder": real_checkpoint, "numpy": numpy}
    examples = 0
    for module in MODULES:
        loaded = importlib.import_module(f"intent_bert.{module}")
        shared |= {"params_from_pretrained_ckpt": intent_bert.params_from_pretrained_ckpt}
        result = doctest.testmod(loaded, extraglobs=shared)
        assert result.failed == 0, module
        examples += result.attempted
    assert examples >= 3


# --- what an import costs ----------------------------------------------------------------------------------------

HEAVY = ("tensorflow", "keras", "pandas", "sklearn", "matplotlib", "tokenizers", "requests", "h5py", "gensim")


@pytest.mark.parametrize(
    "code",
    [
        "import intent_bert, intent_bert.bert",
        "import intent_bert.cli as cli\ntry:\n    cli.main(['--help'])\nexcept SystemExit: pass",
        "import intent_bert.cli as cli\ntry:\n    cli.main(['train', '--help'])\nexcept SystemExit: pass",
        "import intent_bert.cli as cli\nassert cli.main(['checkpoints']) == 0",
    ],
    ids=["import", "help", "train-help", "checkpoints"],
)
def test_light_things_import_nothing_heavy(code):
    assert heavy_after(code) == []


def test_ids_and_batches_need_only_the_tokenizer():
    assert heavy_after("import intent_bert.batches") == ["tokenizers"]


def heavy_after(code: str) -> list[str]:
    script = f"import sys, json\n{code}\nprint(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_the_same_version_everywhere():
    from importlib.metadata import version

    assert version("intent_bert") == intent_bert.__version__
