"""The tokenizer as an ONNX graph, in front of the classifier's: strings in, intents and probabilities out.

    text (B,) string -> characters -> each replaced as tokenization.py does -> words -> WordPieces -> ids (B, T)
      -> the classifier -> logits (B, C) -> probabilities (B, C), intent (B,)

ONNX has strings but no rules of BERT, and the BertTokenizer of ONNX Runtime Extensions takes one text at a time and
reads many scripts otherwise than Google's code. So the rules are drawn here, from the tables of our own tokenizer: a
text is split into its characters, a table gives what each becomes (nothing, a blank, small letters without their
accents, a sign with blanks around it), and what they are joined to is split at the blanks. Of the extensions three
operations are needed: StringRegexReplace, StringJoin and WordpieceTokenizer; the last is asked word by word, for it
keeps the known pieces of a word that has unknown ones, where BERT has one [UNK].

What is known to come out otherwise: a text may end at its first NUL character; of a text with more than 64 characters
for each token that is kept, all characters are read here; half a surrogate pair can't be given. And ONNX Runtime's
extensions compute wrongly in a process that has imported TensorFlow.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from intent_bert.bert.tokenization import CJK_BLOCKS, MAX_CHARACTERS_PER_WORD, UNKNOWN, FullTokenizer
from intent_bert.errors import ModelFolderError, SettingsError
from intent_bert.export.onnx_graph import INPUT, IR_VERSION, LOGITS, OPSET, PROBABILITIES, onnx_model
from intent_bert.export.strings_check import (
    ANSWER,
    INTENT,
    QUESTION,
    REFUSED,
    TEXT,
    TOKENIZER_GRAPH,
    WORDLESS,
)
from intent_bert.model.decision import NO_INTENT, Predictions
from intent_bert.model.multi_label import MultiLabelDecision
from intent_bert.model.saved import Artifact, write_small_files
from intent_bert.version import __version__

EXTENSIONS, TRADITIONAL = "ai.onnx.contrib", "ai.onnx.ml"
LABELS, CHOSEN = "labels", "chosen"
RANDOM_TEXTS = 10_000  # that the tokens are compared on
logger = logging.getLogger("intent_bert")

_SEPARATOR = "\x1f"  # a control character, which no text keeps


def strings_model(artifact: Artifact) -> onnx.ModelProto:
    """The graph: text (B,) string -> intent (B,) string, "" for none; probabilities (B, C); labels (C,) string.

    Of a multi-label model also chosen, bool (B, C): which intents each text has.
    """
    front = compose.add_prefix_graph(tokenizer_model(artifact.tokenizer, artifact.max_seq_len).graph, "text/")
    middle = compose.add_prefix_graph(onnx_model(artifact.model).graph, "model/")
    d = _Drawing("answer/")
    d.add("Identity", TEXT, result=f"text/{TEXT}")
    d.add("Identity", f"text/{INPUT}", result=f"model/{INPUT}")
    outputs = _answer(d, artifact, f"model/{LOGITS}", f"text/{WORDLESS}")
    first, second, *last = d.nodes
    graph = helper.make_graph(
        [first, *front.node, second, *middle.node, *last],
        "intents_of_texts",
        [helper.make_tensor_value_info(TEXT, TensorProto.STRING, ["batch"])],
        outputs,
        [*front.initializer, *middle.initializer, *d.constants],
    )
    model = helper.make_model(graph, opset_imports=_opsets(), ir_version=IR_VERSION)
    model.producer_name, model.producer_version = "intent_bert", __version__
    return model


def tokenizer_model(tokenizer: FullTokenizer, max_seq_len: int) -> onnx.ModelProto:
    """The tokenizer alone: text (B,) string -> input_ids (B, T) int32, 0 to the right; wordless (B,) bool."""
    d = _Drawing()
    _draw_ids(d, _draw_words(d, tokenizer), tokenizer, max_seq_len)
    graph = helper.make_graph(
        d.nodes,
        "tokenizer",
        [helper.make_tensor_value_info(TEXT, TensorProto.STRING, ["batch"])],
        [
            helper.make_tensor_value_info(INPUT, TensorProto.INT32, ["batch", "tokens"]),
            helper.make_tensor_value_info(WORDLESS, TensorProto.BOOL, ["batch"]),
        ],
        d.constants,
    )
    return helper.make_model(graph, opset_imports=_opsets(), ir_version=IR_VERSION)


def _opsets() -> list[onnx.OperatorSetIdProto]:
    versions = (("", OPSET), ("com.microsoft", 1), (EXTENSIONS, 1), (TRADITIONAL, 4))
    return [helper.make_opsetid(domain, version) for domain, version in versions]


class _Drawing:
    """Nodes and constants as they are added; each call gives the name of what it makes."""

    def __init__(self, prefix: str = "") -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._prefix = prefix

    def texts(self, *values: str) -> str:
        encoded: list[Any] = [value.encode() for value in values]
        return self._kept(helper.make_tensor("", TensorProto.STRING, [len(values)], encoded))

    def whole(self, *values: int) -> str:
        return self._kept(numpy_helper.from_array(np.array(values, "int64")))

    def array(self, values: Any) -> str:
        return self._kept(numpy_helper.from_array(np.asarray(values)))

    def _kept(self, tensor: onnx.TensorProto) -> str:
        tensor.name = f"{self._prefix}constant_{len(self.constants)}"
        self.constants.append(tensor)
        return tensor.name

    def add(self, operator: str, *inputs: str, result: str = "", domain: str = "", **attributes: Any) -> str:
        return self.add_many(1, operator, *inputs, result=result, domain=domain, **attributes)[0]

    def add_many(
        self, outputs: int, operator: str, *inputs: str, result: str = "", domain: str = "", **attributes: Any
    ) -> list[str]:
        name = f"{self._prefix}{operator}_{len(self.nodes)}"
        names = [result or f"{name}.{number}" for number in range(outputs)]
        self.nodes.append(helper.make_node(operator, inputs, names, name, domain=domain, **attributes))
        return names

    def replaced(self, text: str, pattern: str, by: str) -> str:
        return self.add(
            "StringRegexReplace", text, self.texts(pattern), self.texts(by), domain=EXTENSIONS, global_replace=1
        )


# --- from texts to words -----------------------------------------------------------------------------------------


def _draw_words(d: _Drawing, tokenizer: FullTokenizer) -> str:
    """text (B,) -> words (B, W) string, "" to the right."""
    text = d.replaced(TEXT, f"[{_as_class(_dropped())}]", "")
    if tokenizer.do_lower_case:
        cased, skipped = _around_sigma()
        text = d.replaced(text, f"([{cased}][{skipped}]*)Σ([{skipped}]*(?:[^{cased}{skipped}]|$))", "\\1ς\\2")
    ranges = "".join(f"\\x{{{first:X}}}-\\x{{{last:X}}}" for first, last in CJK_BLOCKS)
    text = d.replaced(text, f"([{ranges}])", " \\1 ")
    text = d.replaced(text, "(?s)(.)", f"\\1{_SEPARATOR}")
    characters, _ = d.add_many(2, "StringSplit", text, delimiter=_SEPARATOR)  # (B, L)
    table = _replacements(tokenizer)
    keys = list(table)
    new = d.add("LabelEncoder", characters, domain=TRADITIONAL, keys_strings=keys, values_strings=list(table.values()))
    ones: dict[str, Any] = {"keys_strings": keys, "values_int64s": [1] * len(keys), "default_int64": 0}
    is_new = d.add("Cast", d.add("LabelEncoder", characters, domain=TRADITIONAL, **ones), to=TensorProto.BOOL)
    characters = d.add("Where", is_new, new, characters)
    joined = d.add("StringJoin", characters, d.texts(""), d.whole(1), domain=EXTENSIONS)  # (B,)
    return d.add_many(2, "StringSplit", joined)[0]  # at blanks


def _dropped() -> list[int]:
    """Code points that leave no trace, not even a place between letters."""
    numbers = range(sys.maxunicode + 1)
    return [
        number
        for number in numbers
        if number == 0xFFFD or (unicodedata.category(chr(number)) in ("Cc", "Cf") and chr(number) not in "\t\n\r")
    ]


def _replacements(tokenizer: FullTokenizer) -> dict[str, str]:
    """What a character becomes that does not stay what it is; Chinese ones have blanks around them already."""
    table: dict[str, str] = {}
    for number in range(sys.maxunicode + 1):
        character = chr(number)
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Cn", "Co") and character not in "\t\n\r":
            continue
        spaced = tokenizer.spaced(character).replace("\u2028", " ").replace("\u2029", " ")
        if any(first <= number <= last for first, last in CJK_BLOCKS):
            spaced = spaced.strip()
        if spaced != character:
            table[character] = spaced
    return table


@lru_cache
def _around_sigma() -> tuple[str, str]:
    """Two classes that decide how a capital sigma is lower-cased: letters that have case, and what is skipped."""
    cased: list[int] = []
    skipped: list[int] = []
    for number in range(1, sys.maxunicode + 1):
        if 0xD800 <= number <= 0xDFFF:
            continue
        if f"A{chr(number)}Σ".lower().endswith("ς"):
            (cased if f"{chr(number)}Σ".lower().endswith("ς") else skipped).append(number)
    return _as_class(cased), _as_class(skipped)


def _as_class(numbers: Sequence[int]) -> str:
    """The inside of a regular expression's class of these code points, which rise."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return "".join(f"\\x{{{first:X}}}-\\x{{{last:X}}}" for first, last in ranges)


# --- from words to ids -------------------------------------------------------------------------------------------


def _draw_ids(d: _Drawing, words: str, tokenizer: FullTokenizer, max_seq_len: int) -> None:
    """words (B, W) -> input_ids (B, T) int32, and which texts have no word in them; P pieces of M = B * W words."""
    batch, width = d.add_many(2, "Split", d.add("Shape", words), axis=0, num_outputs=2)  # [B], [W]
    tokens, starts, _, _ = d.add_many(
        4, "WordpieceTokenizer", d.add("Reshape", words, d.whole(-1)), d.whole(), domain=EXTENSIONS,
        vocab=json.dumps(tokenizer.vocab, ensure_ascii=False), suffix_indicator="##", unknown_token=UNKNOWN,
        max_input_chars_per_word=MAX_CHARACTERS_PER_WORD,
    )  # fmt: skip
    pieces = d.add("Shape", tokens)  # [P]
    unknown = d.whole(tokenizer.vocab[UNKNOWN])
    names, numbers = list(tokenizer.vocab), list(tokenizer.vocab.values())
    ids = d.add("LabelEncoder", tokens, domain=TRADITIONAL, keys_strings=names, values_int64s=numbers)  # (P,)
    ends = d.add("Slice", starts, d.whole(1), d.whole(2**62))  # (M,), where the pieces of a word end
    after = d.add("Add", pieces, d.whole(1))
    word = d.add("CumSum", _counted(d, ends, after), d.array(np.int64(0)))  # (P + 1,)
    word = d.add("Slice", word, d.whole(0), pieces)  # (P,), the number of a piece's word
    is_unknown = d.add("Cast", d.add("Equal", ids, unknown), to=TensorProto.INT64)
    unknowns = _summed(d, word, is_unknown, d.add("Mul", batch, width))  # (M,), in each word
    broken = d.add("Greater", d.add("Gather", unknowns, word), d.whole(0))  # (P,), pieces of a word that is [UNK]
    is_first = d.add("Equal", _numbered(d, pieces), d.add("Gather", starts, word))
    kept = d.add("Or", d.add("Not", broken), is_first)
    ids = d.add("Compress", d.add("Where", broken, unknown, ids), kept, axis=0)  # (K,)
    row = d.add("Div", word, d.add("Max", width, d.whole(1)))
    row = d.add("Compress", row, kept, axis=0)  # (K,), the sentence of each
    lengths = _counted(d, row, batch)  # (B,)
    begins = d.add("CumSum", lengths, d.array(np.int64(0)), exclusive=1)
    place = d.add("Sub", _numbered(d, d.add("Shape", ids)), d.add("Gather", begins, row))  # (K,), in its sentence
    room = d.whole(max_seq_len - 2)
    within = d.add("Less", place, room)
    ids, row, place = (d.add("Compress", each, within, axis=0) for each in (ids, row, place))
    lengths = d.add("Min", lengths, room)
    rows = _numbered(d, batch)  # (B,)
    zeros, ones = d.add("Mul", rows, d.whole(0)), d.whole(1)
    all_rows = d.add("Concat", row, rows, rows, axis=0)
    all_places = d.add("Concat", d.add("Add", place, ones), zeros, d.add("Add", lengths, ones), axis=0)
    ends_of_text = [d.add("Add", zeros, d.whole(number)) for number in (tokenizer.cls_id, tokenizer.sep_id)]
    all_ids = d.add("Concat", ids, *ends_of_text, axis=0)
    longest = d.add("Add", d.add("ReduceMax", lengths, keepdims=1), d.whole(2))  # [T]
    empty = d.add("Expand", d.whole(0), d.add("Concat", batch, longest, axis=0))  # (B, T)
    where = d.add("Concat", *(d.add("Unsqueeze", each, d.whole(1)) for each in (all_rows, all_places)), axis=1)
    d.add("Cast", d.add("ScatterND", empty, where, all_ids), to=TensorProto.INT32, result=INPUT)
    d.add("Equal", lengths, d.whole(0), result=WORDLESS)


def _numbered(d: _Drawing, length: str) -> str:
    """0, 1, 2 ... up to a length [N]: (N,)."""
    scalar = d.add("Squeeze", length, d.whole(0))
    return d.add("Range", d.array(np.int64(0)), scalar, d.array(np.int64(1)))


def _counted(d: _Drawing, numbers: str, length: str) -> str:
    """How often each number from 0 to a length [N] occurs: (N,)."""
    return _summed(d, numbers, d.add("Expand", d.whole(1), d.add("Shape", numbers)), length)


def _summed(d: _Drawing, numbers: str, values: str, length: str) -> str:
    """The sum of the values under each number from 0 to a length [N]: (N,)."""
    return d.add("ScatterElements", d.add("Expand", d.whole(0), length), numbers, values, axis=0, reduction="add")


# --- from logits to intents --------------------------------------------------------------------------------------


def _answer(d: _Drawing, artifact: Artifact, logits: str, wordless: str) -> list[onnx.ValueInfoProto]:
    """logits (B, C), wordless (B,) -> what the model says, as model/decision.py has it; the graph's outputs."""
    classes, decision = len(artifact.classes), artifact.decision
    alone = d.add("Unsqueeze", wordless, d.whole(1))  # (B, 1)
    labels = d.add("Identity", d.texts(*(str(label) for label in artifact.classes)), result=LABELS)
    outputs = [
        helper.make_tensor_value_info(INTENT, TensorProto.STRING, ["batch"]),
        helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, ["batch", classes]),
        helper.make_tensor_value_info(LABELS, TensorProto.STRING, [classes]),
    ]
    if isinstance(decision, MultiLabelDecision):
        alike, p = np.float32(0), d.add("Sigmoid", logits)
    else:
        scaled = d.add("Div", logits, d.array(np.float32(decision.temperature)))
        alike, p = np.float32(1 / classes), d.add("Softmax", scaled, axis=-1)
    p = d.add("Where", alone, d.array(alike), p, result=PROBABILITIES)
    none = wordless
    if isinstance(decision, MultiLabelDecision):
        chosen = d.add("GreaterOrEqual", p, d.array(np.array(decision.thresholds, "float32")), result=CHOSEN)
        outputs.append(helper.make_tensor_value_info(CHOSEN, TensorProto.BOOL, ["batch", classes]))
        p = d.add("Where", chosen, p, d.array(np.float32(-1)))
        number = d.add("ReduceSum", d.add("Cast", chosen, to=TensorProto.INT64), d.whole(1), keepdims=0)
        none = d.add("Equal", number, d.whole(0))
    named = d.add("Gather", labels, d.add("ArgMax", p, axis=1, keepdims=0))
    d.add("Where", none, d.texts(""), named, result=INTENT)
    return outputs


# --- written and checked -----------------------------------------------------------------------------------------


def write_strings(artifact: Artifact, path: Path) -> Callable[[Sequence[str]], Predictions]:
    """Write the graph, once its tokens are known to be ours.

    It is asked in a process of its own (strings_check.py), for TensorFlow's library of regular expressions and that of
    the extensions get into each other's way.

    Returns:
        What it says of texts.

    Raises:
        SettingsError: ONNX Runtime and its extensions can't run it.
        ModelFolderError: some text has other tokens there.
    """
    path.write_bytes(strings_model(artifact).SerializeToString())
    names = {str(label): number for number, label in enumerate(artifact.classes)} | {"": NO_INTENT}

    def predictions(texts: Sequence[str]) -> Predictions:
        intents, probabilities = _asked_apart(artifact, path, texts)
        numbers = np.array([names[intent] for intent in intents], "int64")
        return Predictions(probabilities, numbers, np.full(len(numbers), np.nan, "float32"))

    return predictions


def _asked_apart(artifact: Artifact, path: Path, texts: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Compare the tokens of many texts, and ask for the intents of these, in a new process."""
    logger.info("comparing the tokens of %s texts", f"{RANDOM_TEXTS:,}")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_small_files(artifact, folder)
        front = tokenizer_model(artifact.tokenizer, artifact.max_seq_len)
        (folder / TOKENIZER_GRAPH).write_bytes(front.SerializeToString())
        question = {"max_seq_len": artifact.max_seq_len, "random_texts": RANDOM_TEXTS, "texts": list(texts)}
        (folder / QUESTION).write_text(json.dumps(question), encoding="utf-8")
        command = [sys.executable, "-m", "intent_bert.export.strings_check", str(path), str(folder)]
        paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
        if done.returncode == REFUSED:
            raise SettingsError(done.stderr.strip().split("\n")[-1])
        if done.returncode:
            raise ModelFolderError(f"the graph with strings could not be checked: {done.stderr.strip()[-300:]!r}")
        answer = json.loads((folder / ANSWER).read_text(encoding="utf-8"))
    if answer["fault"] is not None:
        raise ModelFolderError(answer["fault"])
    return answer["intents"], np.array(answer["probabilities"], "float32").reshape(-1, len(artifact.classes))
