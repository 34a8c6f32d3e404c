"""Names of models, and folders that are replaced while they are asked."""

import asyncio
from pathlib import Path

import httpx
import pytest

from intent_bert.errors import SettingsError
from intent_bert.serving.models import Served, named_folders
from intent_bert.serving.reloading import look_at, watch


def test_a_model_is_called_as_its_folder_or_as_it_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("runs/sample", "a=b", "sealed", "here"):
        Path(folder).mkdir(parents=True)
    for file in ("sealed/model.intent", "mine.intent"):
        Path(file).touch()
    names = named_folders(
        ["runs/sample/", "second=runs/sample", "x=a=b", "sealed/model.intent", "mine.intent", "here/../here"]
    )
    assert {name: str(path) for name, path in names.items()} == {
        "sample": "runs/sample", "second": "runs/sample", "x": "a=b", "sealed": "sealed/model.intent",
        "mine": "mine.intent", "here": "here/../here",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["runs/a", "other/a"], "two models are called a: give one of them another name, as in a-2=other/a"),
        (["a=runs/a", "a=runs/b"], "two models are called a"),
        (["a b=runs/a"], "a model can't be called 'a b'"),
        (["runs/mötley"], "a model can't be called 'mötley'"),
        (["=runs/a"], "a model can't be called ''"),
        (["a="], "a= names no model folder"),
        (["/"], "a model can't be called ''"),
    ],
)
def test_names_that_cannot_be_meant(arguments, sentence):
    with pytest.raises(SettingsError, match=sentence):
        named_folders(arguments)


def look(world, name: str = "first") -> bool:
    return asyncio.run(look_at(world.models, world.models.get(name)))


def test_a_replaced_folder_is_taken_up(world):
    before = world.post("/predict", {"text": "play"}).json()
    assert not look(world)
    world.replace("first", 7)
    assert look(world)
    assert not look(world)
    assert world.models.get("first").loaded.predictor.fingerprint == "seed-7"
    after = world.post("/predict", {"text": "play"}).json()
    assert after != before  # the cache of the old one is gone
    assert world.sample("model_reloads_total", model="first", outcome="taken") == 1
    assert world.sample("model_info", model="first", fingerprint="seed-7", engine="onnx") == 1
    assert world.sample("model_info", model="first", fingerprint="seed-1", engine="onnx") is None
    assert world.sample("model_info", model="second", fingerprint="seed-2", engine="onnx") == 1


def test_a_damaged_folder_is_refused_and_the_old_one_goes_on(world, caplog):
    before = world.post("/predict", {"text": "play"}).json()
    world.replace("first", None)
    assert not look(world)
    assert not look(world)  # and is not tried again before its files change
    assert world.post("/predict", {"text": "play"}).json() == before
    assert world.sample("model_reloads_total", model="first", outcome="refused") == 1
    assert "the old one goes on" in caplog.text
    assert "is damaged" in world.ask("GET", "/models").json()["models"][0]["refused"]
    world.replace("first", 8)
    assert look(world)
    assert world.ask("GET", "/models").json()["models"][0]["refused"] is None


def test_a_folder_that_went_is_refused(world):
    world.predictors["first"] = None
    world.models.get("first").path.rmdir()
    world.models.get("first").signature = (("config.json", 1, 1, 1),)
    assert not look(world)
    assert world.post("/predict", {"text": "play"}).status_code == 200


def test_the_same_model_written_again_is_not_loaded_anew(world):
    loaded = world.models.get("first").loaded
    (loaded_predictor, path) = (loaded.predictor, world.models.get("first").path)
    (path / "notes.txt").write_text("mine")
    assert not look(world)
    assert world.models.get("first").loaded is loaded
    assert loaded.predictor is loaded_predictor


def test_a_folder_that_changes_while_it_is_read_is_read_again(world, monkeypatch):
    read = Served.read

    def changing(served):
        predictor = read(served)
        (served.path / "more").write_text("still copying")
        return predictor

    world.replace("first", 9)
    monkeypatch.setattr(Served, "read", changing)
    assert not look(world)
    monkeypatch.setattr(Served, "read", read)
    assert look(world)


def test_no_request_is_lost_while_models_change(world):
    """Thirty requests at a time, while the folder is replaced again and again: each answer is a whole one."""
    texts = ["play", "song", "rain"]
    seeds = [1, 11, 12, 13]
    answers = []

    async def main():
        watching = asyncio.create_task(watch(world.models, 0.01))
        transport = httpx.ASGITransport(world.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            for seed in seeds[1:]:
                many = (client.post("/predict", json={"texts": texts}) for _ in range(30))
                answers.extend(await asyncio.gather(*many))
                world.replace("first", seed)
                while not watching.done() and world.models.get("first").loaded.predictor.fingerprint != f"seed-{seed}":
                    answers.append(await client.post("/predict", json={"texts": texts}))
                    await asyncio.sleep(0.001)  # what the cache answers lets no other task run
        assert not watching.done()
        watching.cancel()

    asyncio.run(main())
    assert {answer.status_code for answer in answers} == {200}
    given = {answer.text for answer in answers}
    world.replace("first", 1)
    whole = set()
    for seed in seeds:
        world.replace("first", seed)
        look(world)
        whole.add(world.post("/predict", {"texts": texts}).text)
    assert given <= whole
    assert len(given) >= 3
