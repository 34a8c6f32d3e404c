"""The description of all addresses in OpenAPI 3.1, for tools that write clients, and for the page /docs."""

from typing import Any

from intent_bert.version import __version__

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_EXAMPLE = "Play our song now"


def description() -> dict[str, Any]:
    """The whole description, as JSON has it; it is the same whatever the models."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "intent_bert",
            "version": __version__,
            "description": 'Names the intent of sentences. A refusal is an object with one sentence: {"error": "..."}.',
        },
        "security": [{}, {"token": []}],
        "paths": {**_own(), **_v2(), **_tensorflow(), **_rasa(), **_rest()},
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(),
            "responses": {"Refusal": _content("A refusal", {"$ref": "#/components/schemas/Refusal"})},
        },
    }


def _content(what: str, schema: dict[str, Any], kind: str = "application/json") -> dict[str, Any]:
    return {"description": what, "content": {kind: {"schema": schema}}}


def _operation(
    summary: str,
    answer: dict[str, Any],
    body: dict[str, Any] | None = None,
    example: Any = None,
    names: tuple[str, ...] = (),
    tag: str = "intent_bert",
) -> dict[str, Any]:
    operation: dict[str, Any] = {"summary": summary, "tags": [tag]}
    if names:
        operation["parameters"] = [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in names]
    if body is not None:
        operation["requestBody"] = {
            "required": True, "content": {"application/json": {"schema": body, "example": example}},
        }  # fmt: skip
    operation["responses"] = {"200": answer, "default": {"$ref": "#/components/responses/Refusal"}}
    return operation


def _object(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required or []}


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _own() -> dict[str, Any]:
    answer = {"oneOf": [_reference("Prediction"), {"type": "array", "items": _reference("Prediction")}]}
    predict = ("Predict one text, or several", _content("A prediction, or a list", answer), _reference("Request"))
    return {
        "/predict": {"post": _operation(*predict, {"text": _EXAMPLE, "top_k": 3})},
        "/models/{model}/predict": {"post": _operation(*predict, {"texts": [_EXAMPLE, "Rate this book"]}, ("model",))},
        "/explain": {
            "post": _operation(
                "Predict one text, and tell which words carried it",
                _content("A prediction with words", _reference("Explained")),
                _object(
                    {"text": _TEXT, "top_k": {"type": "integer"}, "reject": {"type": "boolean"}, "model": _TEXT},
                    ["text"],
                ),
                {"text": _EXAMPLE},
            )
        },
        "/models": {
            "get": _operation("List the models", _content("The models", _object({"models": {"type": "array"}})))
        },
    }


def _v2() -> dict[str, Any]:
    tag = "Open Inference Protocol v2"
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": [_EXAMPLE]}

    def get(summary: str, *names: str) -> dict[str, Any]:
        return {"get": _operation(summary, _content("An object", {"type": "object"}), names=names, tag=tag)}

    return {
        "/v2/health/live": get("Is the server alive?"),
        "/v2/health/ready": get("Is it ready? 503 while it ends"),
        "/v2": get("What the server is"),
        "/v2/models/{model}": get("What a model takes and gives", "model"),
        "/v2/models/{model}/ready": get("Is a model ready?", "model"),
        "/v2/models/{model}/infer": {
            "post": _operation(
                "One BYTES tensor of texts: intent (BYTES), confidence (FP32) and in_scope (BOOL) of each",
                _content("Tensors of the input's shape", {"type": "object"}),
                _object({"id": _TEXT, "inputs": {"type": "array"}, "outputs": {"type": "array"}}, ["inputs"]),
                {"inputs": [tensor]},
                ("model",),
                tag,
            )
        },
    }


def _tensorflow() -> dict[str, Any]:
    tag = "TensorFlow Serving"
    asked = _object({"instances": {"type": "array"}, "inputs": {"type": "array"}})
    given = _object({name: {"type": "array", "items": _reference("Prediction")} for name in ("predictions", "outputs")})
    return {
        "/v1/models/{model}": {
            "get": _operation("A model's status", _content("Its status", {"type": "object"}), names=("model",), tag=tag)
        },
        "/v1/models/{model}:predict": {
            "post": _operation(
                "instances give predictions, inputs give outputs",
                _content("Predictions", given),
                asked,
                {"instances": [_EXAMPLE]},
                ("model",),
                tag,
            )
        },
    }


def _rasa() -> dict[str, Any]:
    operation = _operation(
        "Predict one text as Rasa does",
        _content("Rasa's answer", {"type": "object"}),
        _object({"text": _TEXT, "model": _TEXT}, ["text"]),
        {"text": _EXAMPLE},
        tag="Rasa",
    )
    return {"/model/parse": {"post": operation}}


def _rest() -> dict[str, Any]:
    def page(summary: str, kind: str) -> dict[str, Any]:
        return {"get": _operation(summary, _content(kind, _TEXT, kind), tag="Pages and metrics")}

    return {
        "/": page("A page to try sentences", "text/html"),
        "/docs": page("This description as a page", "text/html"),
        "/openapi.json": page("This description", "application/json"),
        "/metrics": page("What Prometheus reads", "text/plain"),
    }


def _schemas() -> dict[str, Any]:
    nothing = {"type": "null"}
    label = {"type": ["string", "number", "boolean"]}
    ranked = _object({"name": label, "confidence": {"type": "number"}})
    prediction = {
        "text": _TEXT,
        "intent": {"type": [*label["type"], "null"]},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "intents": {"type": "array", "items": label, "description": "all intents; of a multi-label model alone"},
        "in_scope": {"type": ["boolean", "null"], "description": "null where the model can't tell"},
        "in_scope_score": {"anyOf": [{"type": "number"}, nothing], "description": "higher: more in scope"},
        "intent_ranking": {"type": "array", "items": ranked},
    }
    word = _object({"word": _TEXT, "start": {"type": "integer"}, "drop": {"type": "number"}})
    explained = _object({"intent": label, "words": {"type": "array", "items": word}})
    return {
        "Request": _object(
            {
                "text": {**_TEXT, "description": "one text: the answer is an object"},
                "texts": {**_TEXTS, "description": "several: the answer is a list"},
                "inputs": {"anyOf": [_TEXT, _TEXTS], "description": "another name for either"},
                "top_k": {"type": "integer", "minimum": 1, "default": 1, "description": "intents in the ranking"},
                "reject": {"type": "boolean", "default": False, "description": "no intent for what is out of scope"},
                "model": {**_TEXT, "description": "a model's name; the first is the default"},
            }
        ),
        "Prediction": _object(
            prediction, ["text", "intent", "confidence", "in_scope", "in_scope_score", "intent_ranking"]
        ),
        "Explained": _object({**prediction, "explanation": {"type": "array", "items": explained}}),
        "Refusal": _object({"error": _TEXT}, ["error"]),
    }
