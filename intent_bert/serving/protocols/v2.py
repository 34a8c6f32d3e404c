"""The Open Inference Protocol, version 2: one BYTES tensor of texts in; intent, confidence and in_scope out.

    {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [2], "data": ["...", "..."]}]}

The binary tensor extension is spoken as well: behind the JSON, whose length a header tells, stand the texts, each with
its length in four bytes before it. Outputs have the input's shape. ``in_scope`` is there where the model can tell, and
``intents``, joined by the model's separator, where a sentence may have several.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from intent_bert.model.decision import Prediction
from intent_bert.serving.bodies import parse_object
from intent_bert.serving.problems import Problem, shown
from intent_bert.serving.settings import ServerSettings
from intent_bert.serving.texts import check_number, check_text

JSON_LENGTH = "inference-header-content-length"
_TYPES = {"intent": "BYTES", "intents": "BYTES", "confidence": "FP32", "in_scope": "BOOL"}
_MOST_DIMENSIONS, _LONGEST = 8, 1 << 31


class Asked(NamedTuple):
    """What a request asks.

    Attributes:
        texts: the sentences.
        shape: of the input, and so of the outputs.
        outputs: the names asked for, with whether each goes as binary; None: all of them.
        binary: whether outputs go as binary where that is not said of them.
        id: of the request, which the answer repeats.
    """

    texts: list[str]
    shape: list[int]
    outputs: dict[str, bool] | None
    binary: bool
    id: str | None


def output_names(tells_scope: bool, several: bool) -> list[str]:
    """What a model gives."""
    return ["intent", "confidence", *(["in_scope"] if tells_scope else []), *(["intents"] if several else [])]


def metadata(name: str, engine: str, outputs: Sequence[str]) -> dict[str, Any]:
    """What a model takes and gives."""
    return {
        "name": name,
        "versions": ["1"],
        "platform": f"intent_bert_{engine}",
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [{"name": each, "datatype": _TYPES[each], "shape": [-1]} for each in outputs],
    }


# --- requests ----------------------------------------------------------------------------------------------------


def parse(body: bytes, json_length: str | None, known: Sequence[str], settings: ServerSettings) -> Asked:
    """Read a request.

    Args:
        body: all of it.
        json_length: the header ``JSON_LENGTH``, where it came.
        known: the outputs that the model has.
        settings: the limits.

    Raises:
        Problem: it is none of those above.
    """
    end = len(body)
    if json_length is not None:
        plain = len(json_length) <= 15 and json_length.isascii() and json_length.isdecimal()
        if not plain or int(json_length) > end:
            raise Problem(f"{JSON_LENGTH} must tell how many of the {end:,} bytes are JSON, not {shown(json_length)}")
        end = int(json_length)
    given = parse_object(body[:end])
    inputs = given.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise Problem('"inputs" must be a list of one tensor, {"name", "datatype", "shape", "data"}')
    shape = _shape(inputs[0])
    check_number(math.prod(shape), "the tensor", settings)
    texts = _texts(inputs[0], shape, body[end:], settings)
    id = given.get("id")
    if not isinstance(id, str | None):
        raise Problem(f'"id" must be a text, not {shown(id)}')
    binary = _parameter(given, "binary_data_output", bool, False, "the request")
    return Asked(texts, shape, _outputs(given, known, binary), binary, id)


def _shape(tensor: Mapping[str, Any]) -> list[int]:
    if tensor.get("datatype") != "BYTES":
        raise Problem(f'the tensor must have the datatype "BYTES", not {shown(tensor.get("datatype"))}')
    shape = tensor.get("shape")
    whole = isinstance(shape, list) and all(type(n) is int and 0 <= n <= _LONGEST for n in shape)
    if not whole or not 0 < len(shape) <= _MOST_DIMENSIONS:  # type: ignore[arg-type]
        raise Problem('"shape" must be a list of a few whole numbers, as in [2] or [2, 1]')
    return list(shape)  # type: ignore[arg-type]


def _texts(tensor: Mapping[str, Any], shape: list[int], binary: bytes, settings: ServerSettings) -> list[str]:
    size = _parameter(tensor, "binary_data_size", int, None, "the tensor")
    number = math.prod(shape)
    if size is None:
        if binary:
            raise Problem(f"{len(binary):,} bytes stand behind the JSON, and no tensor has a binary_data_size")
        values = _flat(tensor.get("data"), len(shape))
    else:
        if size != len(binary) or "data" in tensor:
            raise Problem(f"the tensor has {shown(size)} binary bytes, and {len(binary):,} came behind the JSON")
        values = unpacked(binary)
    if len(values) != number:
        raise Problem(f"the shape holds {number:,} texts, and {len(values):,} came")
    return [check_text(value, f"text {place} of the tensor", settings) for place, value in enumerate(values, start=1)]


def _flat(data: Any, dimensions: int) -> list[Any]:
    """A tensor's data, flat or nested as its shape is, as a flat list."""
    if not isinstance(data, list):
        raise Problem(f'"data" must be a list of texts, not {shown(data)}')
    for _ in range(dimensions - 1):
        if not data or not all(isinstance(each, list) for each in data):
            break
        data = [value for each in data for value in each]
    return data


def unpacked(binary: bytes) -> list[str]:
    """Texts of a binary tensor: each with its length in four bytes, the lowest first, before it."""
    texts: list[str] = []
    place = 0
    while place < len(binary):
        start = place + 4
        place = start + int.from_bytes(binary[place:start], "little")
        if start > len(binary) or place > len(binary):
            raise Problem(f"text {len(texts) + 1} of the binary tensor is cut off")
        try:
            texts.append(binary[start:place].decode("utf-8"))
        except UnicodeDecodeError:
            raise Problem(f"text {len(texts) + 1} of the binary tensor is not UTF-8") from None
    return texts


def packed(texts: Sequence[str]) -> bytes:
    """The inverse of ``unpacked``.

    >>> packed(["on", "é"])
    b'\\x02\\x00\\x00\\x00on\\x02\\x00\\x00\\x00\\xc3\\xa9'
    """
    encoded = [text.encode("utf-8", "backslashreplace") for text in texts]
    return b"".join(len(each).to_bytes(4, "little") + each for each in encoded)


def _outputs(given: Mapping[str, Any], known: Sequence[str], binary: bool) -> dict[str, bool] | None:
    outputs = given.get("outputs")
    if outputs is None or outputs == []:
        return None
    if not isinstance(outputs, list) or not all(isinstance(each, dict) for each in outputs):
        raise Problem('"outputs" must be a list of objects, as in [{"name": "intent"}]')
    asked = {}
    for each in outputs:
        name = each.get("name")
        if not isinstance(name, str) or name not in known:
            raise Problem(f"no output is called {shown(name)}: there are {', '.join(known)}")
        if _parameter(each, "classification", int, 0, f"output {name!r}"):
            raise Problem("the classification extension is not spoken here: ask for the outputs without it")
        asked[name] = _parameter(each, "binary_data", bool, binary, f"output {name!r}")
    return asked


def _parameter(given: Mapping[str, Any], name: str, kind: type, default: Any, where: str) -> Any:
    parameters = given.get("parameters", {})
    if not isinstance(parameters, dict):
        raise Problem(f'"parameters" of {where} must be an object, not {shown(parameters)}')
    value = parameters.get(name, default)
    if value is not default and type(value) is not kind:
        raise Problem(f'"{name}" of {where} must be {"true or false" if kind is bool else "a whole number"}')
    return value


# --- answers -----------------------------------------------------------------------------------------------------


def answer(
    asked: Asked, predictions: Sequence[Prediction], name: str, known: Sequence[str], separator: str
) -> tuple[bytes, int | None]:
    """The answer, and how many of its bytes are JSON where binary tensors stand behind them.

    An intent that is none is the empty text.
    """
    tensors, binaries = [], []
    for output in asked.outputs or known:
        values = _values(output, predictions, separator)
        tensor: dict[str, Any] = {"name": output, "datatype": _TYPES[output], "shape": asked.shape}
        if asked.outputs[output] if asked.outputs else asked.binary:
            binaries.append(_as_binary(output, values))
            tensor["parameters"] = {"binary_data_size": len(binaries[-1])}
        else:
            tensor["data"] = values
        tensors.append(tensor)
    given = {"model_name": name, "model_version": "1", **({} if asked.id is None else {"id": asked.id})}
    head = json.dumps({**given, "outputs": tensors}).encode()
    return b"".join([head, *binaries]), len(head) if binaries else None


def _values(output: str, predictions: Sequence[Prediction], separator: str) -> list[Any]:
    if output == "intent":
        return ["" if each.answer.intent is None else str(each.answer.intent) for each in predictions]
    if output == "intents":
        return [separator.join(str(intent.intent) for intent in each.intents) for each in predictions]
    if output == "confidence":
        return [each.answer.confidence for each in predictions]
    return [bool(each.in_scope) for each in predictions]


def _as_binary(output: str, values: list[Any]) -> bytes:
    if _TYPES[output] == "BYTES":
        return packed(values)
    return np.array(values, {"FP32": "<f4", "BOOL": "?"}[_TYPES[output]]).tobytes()
