"""Around the protocols: who may ask, what is too much, what is counted and logged, and the pages."""

import asyncio
import json
import logging
import re
import shlex
from pathlib import Path

import httpx
import pytest

from intent_bert.errors import SettingsError
from intent_bert.serving.access import check_host, is_loopback, read_token
from intent_bert.serving.logs import JsonFormatter
from intent_bert.serving.metrics import WINDOW
from intent_bert.serving.openapi import description
from intent_bert.serving.settings import ServerSettings

PAGES = Path(__file__).parents[2] / "intent_bert" / "serving" / "pages"
BEARER = {"Authorization": "Bearer s3cret-token"}

# --- who may ask -------------------------------------------------------------------------------------------------


def test_a_token_is_asked_for(make_world):
    world = make_world(token="s3cret-token")
    for headers in (
        {},
        {"Authorization": "Bearer s3cret-tokem"},
        {"Authorization": "s3cret-token"},
        {"Authorization": b"\xff"},
    ):
        answer = world.post("/predict", {"text": "play"}, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "s3cret" not in answer.text
    for path in ("/metrics", "/models", "/v2/models/first", "/v1/models/first", "/nothing"):
        assert world.ask("GET", path).status_code == 401
    assert world.post("/predict", {"text": "play"}, headers=BEARER).status_code == 200
    assert world.post("/predict", {"text": "play"}, headers={"Authorization": "bearer s3cret-token"}).status_code == 200
    for path in ("/", "/docs", "/openapi.json", "/pages/style.css", "/v2/health/live", "/v2/health/ready"):
        assert world.ask("GET", path).status_code == 200
    assert world.sample("requests_refused_total", reason="token") == 9


def test_without_a_token_only_this_machines_names_are_answered(world):
    for host in ("127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]:8080", "127.0.0.2"):
        assert world.ask("GET", "/models", headers={"Host": host}).status_code == 200
    for host in (
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example:80",
        "127.x",
        "",
    ):
        assert world.ask("GET", "/models", headers={"Host": host}).status_code == 403
    same, other = {"Origin": "http://127.0.0.1:8080"}, {"Origin": "http://evil.example"}
    assert world.post("/predict", {"text": "a"}, headers=same).status_code == 200
    assert world.post("/predict", {"text": "a"}, headers=other).status_code == 403
    assert world.post("/predict", {"text": "a"}, headers={"Origin": "null"}).status_code == 403


def test_with_a_token_any_name_is_answered(make_world):
    world = make_world(token="s3cret-token")
    assert world.ask("GET", "/models", headers={**BEARER, "Host": "intents.example"}).status_code == 200


def test_the_token_comes_from_a_file_or_the_environment(tmp_path):
    file = tmp_path / "token"
    file.write_text("from-file\n")
    assert read_token(str(file), {"INTENT_BERT_TOKEN": "other"}) == "from-file"
    assert read_token(None, {"INTENT_BERT_TOKEN": " from-environment "}) == "from-environment"
    assert read_token(None, {}) is None
    for content in (b"", b"\n", b"two words", b"\xff", "é".encode()):
        file.write_bytes(content)
        with pytest.raises(SettingsError, match="token"):
            read_token(str(file), {})
    with pytest.raises(SettingsError, match="INTENT_BERT_TOKEN holds no token"):
        read_token(None, {"INTENT_BERT_TOKEN": ""})
    with pytest.raises(SettingsError, match="can't read the token"):
        read_token(str(tmp_path / "missing"), {})


def test_other_machines_need_a_token():
    assert is_loopback("127.0.0.1")
    assert is_loopback("localhost")
    for host in ("127.0.0.1", "127.9.9.9"):
        check_host(host, None, False)
    for host in ("0.0.0.0", "::", "192.0.2.1"):
        with pytest.raises(SettingsError, match=f"--host {host} lets other machines ask: set INTENT_BERT_TOKEN"):
            check_host(host, None, False)
        check_host(host, "token", False)
        check_host(host, None, True)
    with pytest.raises(SettingsError, match="is no address of this machine"):
        check_host("no such host", None, False)


# --- addresses, methods, limits ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/predict/", "/pages/app.py", "/pages/..%2fapp.py", "/pages/__init__.py", "/v2/models/", "/%00"],
)
def test_what_is_not_there_is_told(world, path):
    answer = world.ask("GET", path)
    assert answer.status_code == 404
    assert answer.json() == {"error": "nothing is at this address: GET /docs says what is"}


def test_a_name_in_an_address_is_quoted_as_text(world):
    answer = world.ask("GET", "/v2/models/%3Cscript%3E%0A%1b")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"].startswith("no model is called '<script>\\n\\x1b'")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/predict"), ("PUT", "/predict"), ("POST", "/metrics"), ("BREW", "/")]
)
def test_other_methods_are_refused(world, method, path):
    answer = world.ask(method, path)
    assert answer.status_code == 405
    assert f"takes no {method}" in answer.json()["error"]
    assert answer.headers["allow"]


def test_compressed_bodies_are_refused(world):
    answer = world.post("/predict", b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 415


def test_bodies_without_a_length_are_counted(make_world):
    world = make_world(max_body=100)

    async def parts():
        for _ in range(100):
            yield b"a" * 50

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(world.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.post("/predict", content=parts())

    answer = asyncio.run(send())
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"


def test_too_many_waiting_requests_are_told_when_to_come_again(make_world):
    world = make_world(max_waiting=2, batch_size=1, cache_size=0)
    answers = world.together([("POST", "/predict", {"json": {"text": f"play {number}"}}) for number in range(12)])
    assert {answer.status_code for answer in answers} == {200, 503}
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert refused.headers["retry-after"] == "1"
    assert "wait already" in refused.json()["error"]
    assert world.sample("requests_refused_total", reason="busy") == sum(a.status_code == 503 for a in answers)


def test_what_takes_too_long_is_told(make_world, monkeypatch):
    world = make_world(timeout=0.05, read_timeout=0.05)

    async def never(self, texts):
        await asyncio.sleep(30)

    monkeypatch.setattr("intent_bert.serving.batching.Batcher.ask", never)
    answer = world.post("/predict", {"text": "play"})
    assert answer.status_code == 503
    assert "no answer within 0.05 seconds" in answer.json()["error"]
    assert answer.headers["retry-after"]


def test_a_fault_of_ours_is_told_as_one(world, monkeypatch, caplog):
    async def broken(self, texts):
        raise RuntimeError("secret detail")

    monkeypatch.setattr("intent_bert.serving.batching.Batcher.ask", broken)
    with caplog.at_level(logging.ERROR, "intent_bert"):
        answer = world.post("/predict", {"text": "play"})
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "secret detail" in caplog.text


@pytest.mark.parametrize(
    "settings", [{"max_body": 0}, {"timeout": -1.0}, {"batch_size": 0}, {"batch_wait": -1.0}, {"keep_alive": 0.0}]
)
def test_limits_that_cannot_be_meant(settings):
    with pytest.raises(SettingsError, match=next(iter(settings)).replace("_", "-")):
        ServerSettings(**settings)


def test_limits_that_are_off():
    settings = ServerSettings(cache_size=0, batch_wait=0.0, reload_every=0.0)
    assert (settings.cache_size, settings.batch_wait, settings.reload_every) == (0, 0.0, 0.0)


# --- batches of requests -----------------------------------------------------------------------------------------


def test_requests_of_all_protocols_share_a_pass(world):
    passes = world.predictors["first"]._engine.passes
    passes.clear()
    world.together([
        ("POST", "/predict", {"json": {"text": "play"}}),
        ("POST", "/model/parse", {"json": {"text": "song"}}),
        ("POST", "/v1/models/first:predict", {"json": {"instances": ["rain", "sunny"]}}),
        ("POST", "/predict", {"json": {"text": "play"}}),
        ("POST", "/predict", {"json": {"text": "play", "model": "second"}}),
    ])  # fmt: skip
    assert passes == [4]
    assert world.sample("batch_sentences_sum", model="first") == 4
    assert world.sample("batch_sentences_count", model="first") == 1


# --- metrics -----------------------------------------------------------------------------------------------------


def test_metrics_count_requests_batches_intents_and_refusals(world):
    texts = ["play", "song", "will it rain tomorrow in the park", ""]
    predictions = world.predictors["first"].described(texts, 1)
    for _ in range(2):
        world.post("/predict", {"texts": texts})
    world.post("/predict", b"{")
    assert world.sample("requests_total", route="/predict", status="200") == 2
    assert world.sample("requests_total", route="/predict", status="400") == 1
    assert world.sample("requests_refused_total", reason="malformed") == 1
    assert world.sample("request_seconds_count", route="/predict") == 3
    assert world.sample("cache_hits_total", model="first") == 4
    assert world.sample("cache_entries", model="first") == 4
    for intent in {str(each.answer.intent or "") for each in predictions}:
        expected = 2 * sum(str(each.answer.intent or "") == intent for each in predictions)
        assert world.sample("predictions_total", model="first", intent=intent) == expected
    refused = sum(not each.in_scope for each in predictions)
    assert 0 < refused < 4
    assert world.sample("out_of_scope_total", model="first") == 2 * refused
    assert world.sample("refused_share", model="first") == refused / 4
    assert world.sample("refused_share_expected", model="first") == pytest.approx(0.1)  # known_acceptance is .9
    assert world.sample("refused_share_drift", model="first") == pytest.approx(refused / 4 - 0.1)
    error = (0.1 * 0.9 / 8) ** 0.5
    assert world.sample("refused_share_drift_sigmas", model="first") == pytest.approx((refused / 4 - 0.1) / error)
    assert world.sample("refused_share_expected", model="second") is None  # it can't tell
    text = world.ask("GET", "/metrics").text
    assert 'intent_bert_model_info{engine="onnx",fingerprint="seed-1",model="first"} 1.0' in text
    assert "tomorrow" not in text


def test_the_refused_share_is_of_the_last_predictions(world):
    (row,) = world.predictors["first"].described(["play"], 1)
    world.metrics.count_predictions("first", [row._replace(in_scope=False)] * WINDOW)
    assert world.sample("refused_share", model="first") == 1
    world.metrics.count_predictions("first", [row._replace(in_scope=True)] * (WINDOW // 2))
    assert world.sample("refused_share", model="first") == 0.5


# --- log ---------------------------------------------------------------------------------------------------------


def logged(caplog, world, body) -> list[dict]:
    caplog.clear()
    with caplog.at_level(logging.INFO, "intent_bert"):
        world.post("/predict", body)
    return [json.loads(JsonFormatter().format(record)) for record in caplog.records if record.msg == "request"]


def test_log_lines_are_json_without_the_texts(world, caplog):
    (line,) = logged(caplog, world, {"texts": ["my secret\nsentence", "play"]})
    assert line["time"].endswith("+00:00")
    assert {name: line[name] for name in ("level", "event", "route", "method", "status", "model", "texts")} == {
        "level": "info", "event": "request", "route": "/predict", "method": "POST", "status": 200,
        "model": "first", "texts": 2,
    }  # fmt: skip
    assert line["ms"] >= 0
    assert "secret" not in caplog.text + json.dumps(line)
    (line,) = logged(caplog, world, {"text": 3, "secret": "secret"})
    assert line["status"] == 400
    assert "secret" not in caplog.text + json.dumps(line)


def test_log_lines_have_the_texts_where_they_are_asked_for(make_world, caplog):
    (line,) = logged(caplog, make_world(log_texts=True), {"text": "my\nsentence \ud800"})
    assert line["said"] == ["my\nsentence \ud800"]


# --- pages -------------------------------------------------------------------------------------------------------


def test_pages_load_nothing_from_elsewhere(world):
    for file in PAGES.iterdir():
        if file.suffix in (".html", ".js", ".css"):
            text = file.read_text(encoding="utf-8")
            assert not re.search(r"(https?:)?//[a-z]", text.replace("// ", "")), file
            assert not re.search(
                r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|<script>|style=\"|onclick", text
            ), file
            assert world.ask("GET", f"/pages/{file.name}").text == text
    policy = world.ask("GET", "/").headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")
    assert "unsafe" not in policy
    assert world.ask("GET", "/").headers["content-type"].startswith("text/html")
    for path in ("/", "/docs"):
        for wanted in re.findall(r'(?:src|href)="(/[^"]*)"', world.ask("GET", path).text):
            assert world.ask("GET", wanted).status_code == 200


def test_every_address_is_described_and_its_example_answers(world):
    described = description()["paths"]
    assert world.ask("GET", "/openapi.json").json()["paths"] == described
    for path, methods in described.items():
        for method, operation in methods.items():
            example = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
            answer = world.ask(method.upper(), path.replace("{model}", "second"), json=example)
            assert answer.status_code == 200, path
    routes = {"/predict", "/models/{model}/predict", "/explain", "/models", "/v2/health/live", "/v2/health/ready",
              "/v2", "/v2/models/{model}", "/v2/models/{model}/ready", "/v2/models/{model}/infer", "/v1/models/{model}",
              "/v1/models/{model}:predict", "/model/parse", "/metrics", "/", "/docs", "/openapi.json"}  # fmt: skip
    assert set(described) == routes


def test_references_of_the_description_lead_somewhere():
    text = json.dumps(description())
    components = description()["components"]
    for kind, name in re.findall(r'"#/components/(\w+)/(\w+)"', text):
        assert name in components[kind]


def test_the_models_are_listed(world):
    first, second = world.ask("GET", "/models").json()["models"]
    assert (first["name"], first["default"], first["intents"], first["tells_scope"]) == (
        "first", True, ["music", "weather", 3], True,
    )  # fmt: skip
    assert (second["name"], second["default"], second["tells_scope"], second["refused"]) == (
        "second",
        False,
        False,
        None,
    )


def test_the_examples_of_the_page_are_answered(make_world):
    """Each curl line of docs/serving.md, asked of the models here."""
    page = (PAGES.parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
    token = "a-long-random-text"
    world, asked = make_world(token=token), 0
    for line in re.findall(r"^curl .*$", page, re.MULTILINE):
        words = shlex.split(line)
        options = dict(zip(words[2::2], words[3::2], strict=True))
        assert set(options) <= {"-d", "-H"}
        path = words[1].removeprefix("http://127.0.0.1:8080").replace("sample", "first")
        method = "POST" if "-d" in options else "GET"
        headers = {"Authorization": f"Bearer {token}"}
        if "-H" in options:
            headers = dict([options["-H"].split(": ")])
        answer = world.ask(method, path, content=options.get("-d"), headers=headers)
        assert answer.status_code == 200, (line, answer.text)
        asked += 1
    assert asked >= 9


def test_the_page_names_every_metric_that_it_tells_of(world):
    page = (PAGES.parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
    world.post("/predict", {"text": "play"})
    text = world.ask("GET", "/metrics").text
    named = set(re.findall(r"`(intent_bert_\w+)`", page)) - {"intent_bert_requests_refused_total"}
    assert len(named) > 8
    for name in named:
        assert f"# TYPE {name} " in text or f"# TYPE {name.removesuffix('_total')} " in text, name
