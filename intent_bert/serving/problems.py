"""What a request that can't be answered gets: a status and a JSON object with one sentence, ``{"error": "..."}``."""

import json
from collections.abc import Mapping


class Problem(Exception):
    """A refusal.

    Attributes:
        status: of HTTP.
        sentence: what was expected, what came, what to do.
        headers: more headers of the response.
        reason: a word for the metrics.
        close: whether the connection is of no more use, for the request was not read to its end.
    """

    status = 400

    def __init__(
        self,
        sentence: str,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        reason: str = "malformed",
        close: bool = False,
    ) -> None:
        super().__init__(sentence)
        self.sentence, self.reason, self.close = sentence, reason, close
        self.status = status or self.status
        self.headers = dict(headers or {})


class NotFound(Problem):
    """No such path or model."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, 404, reason="unknown")


class TooLarge(Problem):
    """More than a limit allows."""

    def __init__(self, sentence: str, close: bool = False) -> None:
        super().__init__(sentence, 413, reason="too-large", close=close)


class Busy(Problem):
    """Too much to do: come again."""

    def __init__(self, sentence: str, reason: str = "busy", seconds: int = 1, close: bool = False) -> None:
        super().__init__(sentence, 503, {"Retry-After": str(seconds)}, reason, close)


def error_body(sentence: str) -> bytes:
    """The body of a refusal; ASCII, whatever the sentence quotes of the request."""
    return json.dumps({"error": sentence}).encode()


def shown(value: object, most: int = 60) -> str:
    """A value of a request as a sentence names it: a text or a number in short, of anything else what it is.

    >>> shown("a" * 100, 10)
    "'aaaaaa..."
    >>> shown([[1]]), shown(None), shown(True), shown(2.5)
    ('a list', 'null', 'true', '2.5')
    """
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value[: most + 1] if isinstance(value, str) else value)
    return text if len(text) <= most else f"{text[: most - 3]}..."
