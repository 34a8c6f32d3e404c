"""A graph with strings, asked: its tokens for many texts beside ours, and what it says of some.

    python -m intent_bert.export.strings_check MODEL.onnx FOLDER

FOLDER holds the vocabulary, the graph of the tokenizer alone and a question; the answer is written beside them. It is a
program of its own because TensorFlow, which an export needs, and ONNX Runtime's extensions each bring a library of
regular expressions, and the second to come gets the first one's. Neither Keras nor TensorFlow is imported here.
"""

import json
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np

from intent_bert.bert.tokenization import VOCAB_FILE, FullTokenizer
from intent_bert.errors import SettingsError, reason

TEXT, INTENT, WORDLESS = "text", "intent", "wordless"
TOKENIZER_GRAPH, QUESTION, ANSWER = "tokenizer.onnx", "question.json", "answer.json"
REFUSED = 2  # the exit code, with a sentence on stderr
_AT_ONCE = 250


def main(model: str, place: str) -> int:
    """Ask the graph what the folder's question says."""
    folder = Path(place)
    question = json.loads((folder / QUESTION).read_text(encoding="utf-8"))
    try:
        front, whole = open_session(folder / TOKENIZER_GRAPH), open_session(Path(model))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return REFUSED
    tokenizer = FullTokenizer(folder / VOCAB_FILE)
    texts = question["texts"]
    compared = [*texts, *random_texts(tokenizer, question["random_texts"])]
    answer: dict[str, Any] = {"fault": fault_of(front, tokenizer, compared, question["max_seq_len"])}
    intents: list[str] = []
    probabilities: list[list[float]] = []
    for start in range(0, len(texts), _AT_ONCE):
        some = np.array(texts[start : start + _AT_ONCE], object)
        found = whole.run([INTENT, "probabilities"], {TEXT: some})
        intents += found[0].tolist()
        probabilities += found[1].tolist()
    answer |= {"intents": intents, "probabilities": probabilities}
    (folder / ANSWER).write_text(json.dumps(answer), encoding="utf-8")
    return 0


def open_session(model: Path) -> Any:
    """A graph with strings in ONNX Runtime, with the operations of its extensions.

    Raises:
        SettingsError: they can't run it.
    """
    import onnxruntime
    import onnxruntime_extensions

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        options.register_custom_ops_library(onnxruntime_extensions.get_library_path())
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no class of their own
        raise SettingsError(
            f"ONNX Runtime {onnxruntime.__version__} with onnxruntime-extensions {onnxruntime_extensions.__version__} "
            f"can't run a graph with strings ({reason(error)}): pip install --upgrade onnxruntime "
            "onnxruntime-extensions"
        ) from error


def fault_of(front: Any, tokenizer: FullTokenizer, texts: list[str], max_seq_len: int) -> str | None:
    """What is told of the first text that has other tokens in the graph than here; None where all are alike."""
    for start in range(0, len(texts), _AT_ONCE):
        some = texts[start : start + _AT_ONCE]
        expected, _ = tokenizer.encode(some, max_seq_len)
        for text, ids, row in zip(
            some, expected, front.run(["input_ids"], {TEXT: np.array(some, object)})[0], strict=True
        ):
            if row[: len(ids)].tolist() != ids or row[len(ids) :].any():
                return (
                    f"no graph with strings was written: {text!r} has other tokens there than here, by ONNX Runtime's "
                    "extensions; export to sealed or huggingface, or update onnxruntime-extensions"
                )
    return None


def random_texts(tokenizer: FullTokenizer, number: int, seed: int = 0) -> list[str]:
    """Texts of up to 40 characters from all of Unicode, words among them; the same ones each time."""
    rng = np.random.default_rng(seed)
    assigned = [chr(each) for each in range(1, sys.maxunicode + 1) if unicodedata.category(chr(each)) != "Cs"]
    kinds = [
        [each for each in assigned if unicodedata.category(each) not in ("Cn", "Co")],
        [each for each in assigned if ord(each) < 0x250],
        [each for each in assigned if 0x300 <= ord(each) < 0x600],
        [each for each in assigned if ord(each) < 0x7F] + [" "] * 20,
        list("ΑΣσςΒ'. \u0301\u00ad\u200d:İıßǅé"),
        [f" {token.removeprefix('##')}" for token in tokenizer.vocab_lines],
        assigned,
    ]
    texts = []
    for _ in range(number):
        chosen = rng.choice(len(kinds), size=2)
        parts = [kinds[kind][rng.integers(len(kinds[kind]))] for kind in rng.choice(chosen, size=rng.integers(1, 41))]
        texts.append("".join(parts))
    return texts


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
