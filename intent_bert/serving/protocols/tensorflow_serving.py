"""TensorFlow Serving's REST protocol: ``/v1/models/M`` and ``/v1/models/M:predict``.

    {"instances": ["...", {"text": "..."}, {"b64": "..."}]}    gives {"predictions": [...]}, the row format
    {"inputs": ["...", "..."]} or {"inputs": {"text": [...]}}   gives {"outputs": [...]}, the column format

Each prediction is an object as ``predict --json`` writes it.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from intent_bert.model.decision import Prediction
from intent_bert.serving.problems import Problem, shown
from intent_bert.serving.protocols.own import encoded, lines_of
from intent_bert.serving.settings import ServerSettings
from intent_bert.serving.texts import check_keys, check_number, check_text, check_texts

_SIGNATURE = "serving_default"


class Asked(NamedTuple):
    """The sentences of a request, and what the list of answers is called."""

    texts: list[str]
    called: str


def parse(given: Mapping[str, Any], settings: ServerSettings) -> Asked:
    """Read a request.

    Raises:
        Problem: it is none of those above.
    """
    check_keys(given, ("instances", "inputs", "signature_name"))
    if given.get("signature_name", _SIGNATURE) != _SIGNATURE:
        raise Problem(f"there is one signature, {_SIGNATURE!r}, not {shown(given['signature_name'])}")
    if ("instances" in given) == ("inputs" in given):
        raise Problem('expected {"instances": ["...", "..."]} or {"inputs": ["...", "..."]}, one of them')
    if "instances" in given:
        return Asked(_instances(given["instances"], settings), "predictions")
    inputs = given["inputs"]
    if isinstance(inputs, dict):
        check_keys(inputs, ("text",))
        inputs = inputs.get("text")
    if isinstance(inputs, str):
        inputs = [inputs]
    return Asked(check_texts(inputs, '"inputs"', settings), "outputs")


def _instances(given: Any, settings: ServerSettings) -> list[str]:
    if not isinstance(given, list):
        raise Problem(f'"instances" must be a list, not {shown(given)}')
    check_number(len(given), '"instances"', settings)
    return [_text_of(each, f"instance {number}", settings) for number, each in enumerate(given, start=1)]


def _text_of(instance: Any, where: str, settings: ServerSettings) -> str:
    if isinstance(instance, dict):
        check_keys(instance, ("text", "b64"))
        if len(instance) != 1:
            raise Problem(f'{where} must have "text" or "b64", one of them')
        ((name, value),) = instance.items()
        instance = _decoded(value, where) if name == "b64" else value
    return check_text(instance, where, settings)


def _decoded(value: Any, where: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode("utf-8")
    except (binascii.Error, ValueError, TypeError):
        raise Problem(f'"b64" of {where} is no text in UTF-8 and base64') from None


def answer(asked: Asked, predictions: Sequence[Prediction], several: bool) -> bytes:
    """The answer; ``several`` as in ``as_json``."""
    return encoded(f'{{"{asked.called}": [{", ".join(lines_of(asked.texts, predictions, several))}]}}')


def status() -> dict[str, Any]:
    """Of a model that answers; there is one version of it, "1"."""
    fine = {"error_code": "OK", "error_message": ""}
    return {"model_version_status": [{"version": "1", "state": "AVAILABLE", "status": fine}]}
