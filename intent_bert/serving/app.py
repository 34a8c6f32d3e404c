"""The server's application: which address is answered by what. Clocks, tokens and refusals are guard.py's business."""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from intent_bert.errors import SettingsError
from intent_bert.model.decision import Prediction
from intent_bert.serving import explaining, pages
from intent_bert.serving.access import Access
from intent_bert.serving.bodies import parse_object, read_body
from intent_bert.serving.guard import Facts, Guard, State
from intent_bert.serving.models import Loaded, Models, Served
from intent_bert.serving.openapi import description
from intent_bert.serving.problems import NotFound, Problem
from intent_bert.serving.protocols import own, rasa, tensorflow_serving, v2
from intent_bert.serving.texts import check_keys
from intent_bert.version import __version__

Handler = Callable[[Request], Awaitable[Response]]
_JSON = "application/json"


def create_app(models: Models, access: Access, state: State | None = None) -> ASGIApp:
    """The application that answers with these models.

    Args:
        models: what answers.
        access: who may ask.
        state: what the server is up to; it is read at each request.
    """
    answers = _Answers(models, state or State())
    application = _Application(answers.routes())
    return Guard(application, access, models.settings, models.metrics, answers.state)


class _Application:
    """The routes; what none of them takes is refused."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._router = Router(routes, redirect_slashes=False, default=_not_found)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self  # so that starlette raises what it refuses
        await self._router(scope, receive, send)


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    raise NotFound("nothing is at this address: GET /docs says what is")


def _route(path: str, handler: Handler, method: str = "GET") -> Route:
    async def endpoint(request: Request) -> Response:
        request.scope["facts"].route = path
        return await handler(request)

    return Route(path, endpoint, methods=[method])


def _json(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(value), status, media_type=_JSON)


class _Answers:
    """A method for each address."""

    def __init__(self, models: Models, state: State) -> None:
        self.models, self.settings, self.metrics, self.state = models, models.settings, models.metrics, state

    def routes(self) -> list[Route]:
        return [
            _route("/predict", self.predict, "POST"),
            _route("/models/{model}/predict", self.predict, "POST"),
            _route("/explain", self.explain, "POST"),
            _route("/models", self.list_models),
            _route("/v2/health/live", self.live),
            _route("/v2/health/ready", self.ready),
            _route("/v2", self.v2_server),
            *(
                route
                for path in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}")
                for route in (
                    _route(path, self.v2_model),
                    _route(f"{path}/ready", self.v2_model_ready),
                    _route(f"{path}/infer", self.v2_infer, "POST"),
                )
            ),
            *(
                route
                for path in ("/v1/models/{model}", "/v1/models/{model}/versions/{version}")
                for route in (
                    _route(f"{path}:predict", self.tensorflow_predict, "POST"),
                    _route(path, self.tensorflow_status),
                )
            ),
            _route("/model/parse", self.rasa_parse, "POST"),
            _route("/metrics", self.tell_metrics),
            _route("/openapi.json", self.openapi),
            _route("/", self.page),
            _route("/docs", self.docs),
            _route("/pages/{file}", self.page_file),
        ]

    # --- our own

    async def predict(self, request: Request) -> Response:
        given = parse_object(await read_body(request, self.settings))
        asked = own.parse(given, self.settings)
        served = self._served(request, asked.model)
        loaded = served.loaded
        predictions = await self._describe(request, served, loaded, asked.texts, asked.top_k, asked.reject)
        body = own.answer(asked, predictions, loaded.predictor.multi_label)
        return Response(body, media_type=_JSON)

    async def explain(self, request: Request) -> Response:
        given = parse_object(await read_body(request, self.settings))
        check_keys(given, ("text", "top_k", "reject", "model"))
        asked = own.parse(given, self.settings)
        served = self._served(request, asked.model)
        loaded = served.loaded
        predictions = await self._describe(request, served, loaded, asked.texts, asked.top_k, asked.reject)
        intents = await explaining.explained(loaded.predictor, asked.texts[0], self.models.pool)
        (line,) = own.lines_of(asked.texts, predictions, loaded.predictor.multi_label)
        return _json({**json.loads(line), "explanation": explaining.as_objects(intents)})

    async def list_models(self, request: Request) -> Response:
        return _json({"models": [_facts_of(each, each is self.models.default) for each in self.models]})

    # --- Open Inference Protocol

    async def live(self, request: Request) -> Response:
        return _json({"live": True})

    async def ready(self, request: Request) -> Response:
        return _json({"ready": not self.state.draining}, 503 if self.state.draining else 200)

    async def v2_server(self, request: Request) -> Response:
        return _json({"name": "intent_bert", "version": __version__, "extensions": ["binary_tensor_data"]})

    async def v2_model(self, request: Request) -> Response:
        served = self._served(request)
        predictor = served.loaded.predictor
        return _json(v2.metadata(served.name, predictor.engine, _outputs_of(served.loaded)))

    async def v2_model_ready(self, request: Request) -> Response:
        name = self._served(request).name
        return _json({"name": name, "ready": not self.state.draining}, 503 if self.state.draining else 200)

    async def v2_infer(self, request: Request) -> Response:
        served = self._served(request)
        loaded = served.loaded
        outputs = _outputs_of(loaded)
        body = await read_body(request, self.settings)
        asked = v2.parse(body, request.headers.get(v2.JSON_LENGTH), outputs, self.settings)
        predictions = await self._describe(request, served, loaded, asked.texts)
        answer, length = v2.answer(asked, predictions, served.name, outputs, loaded.predictor.label_separator)
        if length is None:
            return Response(answer, media_type=_JSON)
        return Response(answer, headers={v2.JSON_LENGTH: str(length)}, media_type="application/octet-stream")

    # --- TensorFlow Serving

    async def tensorflow_predict(self, request: Request) -> Response:
        served = self._served(request)
        asked = tensorflow_serving.parse(parse_object(await read_body(request, self.settings)), self.settings)
        loaded = served.loaded
        predictions = await self._describe(request, served, loaded, asked.texts)
        body = tensorflow_serving.answer(asked, predictions, loaded.predictor.multi_label)
        return Response(body, media_type=_JSON)

    async def tensorflow_status(self, request: Request) -> Response:
        self._served(request)
        return _json(tensorflow_serving.status())

    # --- Rasa

    async def rasa_parse(self, request: Request) -> Response:
        given = parse_object(await read_body(request, self.settings))
        text = rasa.parse(given, self.settings)
        served = self._served(request, given.get("model"))
        loaded = served.loaded
        (prediction,) = await self._describe(request, served, loaded, [text], rasa.RANKING)
        return _json(rasa.answer(text, prediction))

    # --- for people and their tools

    async def tell_metrics(self, request: Request) -> Response:
        return Response(self.metrics.as_text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def openapi(self, request: Request) -> Response:
        return _json(description())

    async def page(self, request: Request) -> Response:
        return pages.response("index.html")

    async def docs(self, request: Request) -> Response:
        return pages.response("docs.html")

    async def page_file(self, request: Request) -> Response:
        return pages.response(request.path_params["file"])

    # --- for all of them

    def _served(self, request: Request, named: str | None = None) -> Served:
        """The model that an address or a body names, by default the first."""
        in_path = request.path_params.get("model")
        if request.path_params.get("version", "1") != "1":
            raise NotFound('each model has one version, "1"')
        if in_path is not None and named is not None and in_path != named:
            raise Problem("the address names one model and the body another: leave one of them out")
        served = self.models.get(in_path if named is None else named)
        request.scope["facts"].model = served.name
        return served

    async def _describe(
        self, request: Request, served: Served, loaded: Loaded, texts: list[str], top_k: int = 1, reject: bool = False
    ) -> list[Prediction]:
        facts: Facts = request.scope["facts"]
        facts.texts = texts
        try:
            predictions = await loaded.describe(texts, top_k, reject)
        except SettingsError as error:
            raise Problem(str(error), 422, reason="no-threshold") from None
        self.metrics.count_predictions(served.name, predictions)
        return predictions


def _outputs_of(loaded: Loaded) -> list[str]:
    predictor = loaded.predictor
    return v2.output_names(predictor.decision.threshold is not None, predictor.multi_label)


def _facts_of(served: Served, default: bool) -> dict[str, Any]:
    predictor = served.loaded.predictor
    return {
        "name": served.name,
        "default": default,
        "engine": predictor.engine,
        "intents": predictor.classes,
        "multi_label": predictor.multi_label,
        "tells_scope": predictor.decision.threshold is not None,
        "threshold": predictor.decision.threshold,
        "fingerprint": predictor.fingerprint,
        "loaded": served.loaded.since,
        "refused": served.refused,
    }
