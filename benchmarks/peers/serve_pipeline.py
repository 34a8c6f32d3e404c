"""Hugging Face's pipeline behind Starlette, as its documentation shows it ("Using pipelines for a webserver").

    python serve_pipeline.py MODEL_DIR PORT [--batch N]

One queue, one loop, one call of the pipeline for each request; with ``--batch`` as many as wait, up to N, share a call,
as the same page shows further down. The network has the size of the model folder's and random weights: it is measured
for its speed alone. Needs torch, transformers, starlette and uvicorn, and none of this package.
"""

import argparse
import asyncio
import json
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast, pipeline


def pipeline_of(folder: Path) -> Any:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    encoder = {name: value for name, value in config["encoder"].items() if value is not None}
    names = (
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "max_position_embeddings",
    )
    known = {name: encoder[name] for name in names if name in encoder}
    assert known["hidden_size"] and known["num_hidden_layers"]
    labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    model = BertForSequenceClassification(BertConfig(**known, num_labels=len(labels))).eval()
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"))
    return pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")


def app_of(pipe: Any, batch: int) -> Starlette:
    queue: asyncio.Queue[tuple[str, asyncio.Future[Any]]] = asyncio.Queue()
    loops: list[asyncio.Task[None]] = []

    async def predict(request: Request) -> JSONResponse:
        if not loops:
            loops.append(asyncio.create_task(answer()))
        text = (await request.json())["text"]
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        await queue.put((text, answered))
        return JSONResponse(await answered)

    async def answer() -> None:
        loop = asyncio.get_running_loop()
        while True:
            waiting = [await queue.get()]
            while len(waiting) < batch:
                try:
                    waiting.append(await asyncio.wait_for(queue.get(), 0.001))
                except TimeoutError:
                    break
            texts = [text for text, _ in waiting]
            given = await loop.run_in_executor(None, lambda texts=texts: pipe(texts, batch_size=len(texts)))
            for (_, answered), each in zip(waiting, given, strict=True):
                answered.set_result(each)

    return Starlette(routes=[Route("/predict", predict, methods=["POST"])])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model_dir", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("--batch", type=int, default=1)
    options = parser.parse_args()
    uvicorn.run(
        app_of(pipeline_of(options.model_dir), options.batch), port=options.port, log_level="warning", access_log=False
    )
