"""Rules of the house: names that users import, imports that point down, examples that run, what `import` costs."""

import ast
import doctest
import importlib
import json
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import intent_bert
import intent_bert.bert

PACKAGE = Path(intent_bert.__file__).parent
WINGS = [  # each may use only those above it
    "errors",
    "version",
    "machine",
    "files",
    "bert",
    "config",
    "data",
    "model",
    "inference",
    "evaluation",
    "export",
    "training",
    "estimators",
    "workbench",
    "serving",
    "cli",
    "intent_bert",  # the package's own __init__
]


def name_of(path: Path) -> str:
    """``model/network.py`` is model.network, ``model/__init__.py`` is model, ``__init__.py`` is intent_bert."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "intent_bert"


SOURCES = {name_of(path): path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
MODULES = sorted(SOURCES)


def test_exported_names_are_pinned():
    assert sorted(intent_bert.__all__) == [
        "Answer",
        "BertConfig",
        "BertModelLayer",
        "BertTransformer",
        "BucketedBatches",
        "CheckpointError",
        "CompareConfig",
        "Comparison",
        "DataError",
        "Discovery",
        "DiskError",
        "DownloadError",
        "Drift",
        "Evaluation",
        "FullTokenizer",
        "IntentBertError",
        "IntentClassifier",
        "IntentDetectionData",
        "IntentPredictor",
        "ModelFolderError",
        "Report",
        "SettingsError",
        "StockBertConfig",
        "TrainingConfig",
        "WordVectorTransformer",
        "__version__",
        "adamw",
        "calibrate",
        "check_behaviour",
        "compare",
        "create_model",
        "detect_drift",
        "diagnose",
        "diff_models",
        "discover",
        "evaluate_probabilities",
        "export_model",
        "learn_usual",
        "load_model",
        "load_stock_weights",
        "map_stock_config_to_params",
        "params_from_pretrained_ckpt",
        "read_table",
        "report_model",
        "split_table",
        "suggest",
        "train",
    ]
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


# --- the order of the wings --------------------------------------------------------------------------------------


@cache
def imports_of(source: str, modules: tuple[str, ...]) -> set[str]:
    """The modules of this package that a source imports, wherever in it: ``from intent_bert.x import y`` is x.y, or x
    where y is no module; a name of the package itself is intent_bert.
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "intent_bert":
                name = name.removeprefix("intent_bert.")
                found.add(name if name in modules else name.rpartition(".")[0] or "intent_bert")
    return found


def arrows(sources: dict[str, str]) -> list[tuple[str, str]]:
    return [(module, used) for module, source in sources.items() for used in sorted(imports_of(source, tuple(sources)))]


def wing(module: str) -> int:
    return WINGS.index(module.split(".")[0])


def faults_of(sources: dict[str, str]) -> list[str]:
    """Arrows that point up, and circles among the modules of a wing."""
    down = arrows(sources)
    faults = [f"{module} imports {used}, which stands above it" for module, used in down if wing(used) > wing(module)]
    uses = {module: {used for by, used in down if by == module} for module in sources}
    try:
        list(TopologicalSorter(uses).static_order())
    except CycleError as circle:
        faults.append(f"circle: {' -> '.join(circle.args[1])}")
    return faults


def test_every_wing_is_named_once():
    assert {module.split(".")[0] for module in MODULES} == set(WINGS)
    assert len(WINGS[:-1]) <= 16


def test_imports_point_down_and_go_round_in_no_circle():
    assert faults_of(SOURCES) == []
    assert len(arrows(SOURCES)) > 100  # so that a reader of imports that finds none can't pass


def test_a_turned_arrow_fails():
    """Every arrow between two wings, turned: the lower module imports the upper one."""
    between = [(module, used) for module, used in arrows(SOURCES) if wing(module) != wing(used)]
    for module, used in between:
        turned = SOURCES | {used: f"{SOURCES[used]}\n\ndef f():\n    import intent_bert.{module}\n"}
        assert f"{used} imports {module}, which stands above it" in faults_of(turned)
    up = SOURCES | {"model.folder": "from intent_bert import __version__"}
    assert "model.folder imports intent_bert, which stands above it" in faults_of(up)
    circle = SOURCES | {"data.tables": "from intent_bert.data import preprocessing"}
    assert faults_of(circle)[0].startswith("circle: ")


def test_modules_open_by_saying_what_they_do():
    for module in MODULES:
        docstring = ast.get_docstring(ast.parse(SOURCES[module]))
        assert docstring, module
        assert docstring.split("\n")[0].endswith((".", "?", "!", ":")), module


# --- examples ----------------------------------------------------------------------------------------------------


def test_docstring_examples_run(real_checkpoint):
    import numpy

    from intent_bert.bert import FullTokenizer

    shared = {"tokenizer": FullTokenizer(real_checkpoint / "vocab.txt"), "folder": real_checkpoint, "numpy": numpy}
    examples = 0
    for module in MODULES:
        loaded = importlib.import_module(f"intent_bert.{module}" if module != "intent_bert" else module)
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
        "from intent_bert.data.rows import RowReader",
        "import intent_bert.cli.command_line as cli\ntry:\n    cli.main(['--help'])\nexcept SystemExit: pass",
        "import intent_bert.cli.command_line as cli\ntry:\n    cli.main(['train', '--help'])\nexcept SystemExit: pass",
        "import intent_bert.cli.command_line as cli\nassert cli.main(['checkpoints']) == 0",
    ],
    ids=["import", "rows", "help", "train-help", "checkpoints"],
)
def test_light_things_import_nothing_heavy(code):
    assert heavy_after(code) == []


def test_ids_and_batches_need_only_the_tokenizer():
    assert heavy_after("import intent_bert.data.batches") == ["tokenizers"]


def test_evaluation_needs_neither_tensorflow_nor_keras():
    modules = [module for module in MODULES if module.split(".")[0] == "evaluation"]
    heavy = heavy_after("\n".join(f"import intent_bert.{module}" for module in modules))
    assert not {"tensorflow", "keras", "matplotlib"} & set(heavy)


def test_inference_needs_neither_keras_nor_tensorflow_nor_pandas(trained, tmp_path):
    """Every module of the wing is loaded, a sentence predicted and a file too."""
    (tmp_path / "in.csv").write_text("text\nplay music\n")
    modules = [f"intent_bert.{name}" for name in MODULES if name.split(".")[0] == "inference"]
    code = (
        f"import {', '.join(modules)}\n"
        "from intent_bert import IntentPredictor\nfrom intent_bert.cli import main\n"
        f"assert IntentPredictor.load({str(trained.folder)!r}).predict_one('play music').intent == 'music'\n"
        f"assert main(['predict', {str(trained.folder)!r}, '--input', {str(tmp_path / 'in.csv')!r}, "
        f"'--output', {str(tmp_path / 'out.csv')!r}]) == 0"
    )
    assert not {"keras", "tensorflow", "pandas"} & set(heavy_after(code))
    assert (tmp_path / "out.csv").read_text().splitlines()[0].startswith("text,intent,confidence")


def heavy_after(code: str) -> list[str]:
    script = f"import sys, json\n{code}\nprint(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_the_same_version_everywhere():
    from importlib.metadata import version

    assert version("intent_bert") == intent_bert.__version__
