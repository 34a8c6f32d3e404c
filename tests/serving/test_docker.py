"""What can be tested of the Docker recipes without Docker: that they say what the page promises, and name enough."""

import json
import re
import shlex
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import yaml

from intent_bert.cli.command_line import parse
from intent_bert.serving.access import OPEN_PATHS

RECIPES = Path(__file__).parents[2] / "docs" / "docker"
ROOT = RECIPES.parents[1]


def instructions() -> list[tuple[str, str]]:
    """Of the Dockerfile, each with its words."""
    text = (RECIPES / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2].strip()) for line in lines]


def requirements() -> list[str]:
    lines = (RECIPES / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_the_image_runs_the_server_and_not_as_root():
    last = dict(instructions())
    assert int(last["USER"].partition(":")[0]) > 0
    program, *words = json.loads(last["ENTRYPOINT"])
    assert program.endswith("/intent-bert")
    options = parse([*words, *json.loads(last["CMD"])])
    assert (options.models, options.host, options.port) == (["/models/model"], "0.0.0.0", int(last["EXPOSE"]))
    assert options.run.__name__ == "run_serve"
    assert last["STOPSIGNAL"] == "SIGTERM"


def test_what_is_copied_into_the_image_is_there():
    for name, words in instructions():
        if name == "COPY" and "--from" not in words:
            for source in words.split()[:-1]:
                assert (ROOT / source).exists(), source


def test_the_health_check_asks_an_open_address():
    check = dict(instructions())["HEALTHCHECK"]
    code = json.loads(check.partition("CMD ")[2])[2]
    compile(code, "health check", "exec")
    assert re.search(r"127\.0\.0\.1:8080(/[^']+)'", code)[1] in OPEN_PATHS


def test_the_requirements_are_those_of_the_package():
    declared = (ROOT / "setup.py").read_text(encoding="utf-8")
    for line in requirements():
        assert f'"{line}"' in declared, line


def test_the_requirements_hold_all_that_the_server_imports():
    """In a process that has read a model's modules: each package imported is required, or comes with one that is."""
    code = (
        "import json, sys\nimport intent_bert.serving.server, intent_bert.serving.models, intent_bert.cli.serve\n"
        "import onnxruntime, uvicorn.lifespan.off\nfrom intent_bert.inference.predictor import IntentPredictor\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules} - set(sys.stdlib_module_names))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    homes = packages_distributions()
    imported = {homes[name][0].lower() for name in json.loads(done.stdout) if name in homes}
    imported -= {"intent_bert", "intent-bert", "setuptools"}
    allowed = {re.split(r"[<>=]", line)[0] for line in requirements()}
    for name in list(allowed):
        allowed |= {re.split(r"[^\w-]", each)[0].lower() for each in requires(name) or [] if "extra ==" not in each}
    normal = {name.replace("_", "-") for name in allowed}
    assert {name.replace("_", "-") for name in imported} <= normal
    assert "onnxruntime" in imported


def test_compose_is_as_safe_as_the_page_says():
    service = yaml.safe_load((RECIPES / "compose.yaml").read_text(encoding="utf-8"))["services"]["intents"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert all(volume.endswith(":ro") for volume in service["volumes"])
    assert ":?" in service["environment"]["INTENT_BERT_TOKEN"]  # compose refuses to start without one
    assert parse(["serve", *service["command"]]).models == ["/models/sample"]
    assert int(service["stop_grace_period"].rstrip("s")) > parse(["serve", "m"]).grace
    assert (RECIPES / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    first = (RECIPES / "compose.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert str(shlex.split(first)[-2]).endswith("docs/docker/compose.yaml")
