"""Bodies of requests: read within the limits, and parsed as strict JSON. What they mean is the protocols' business."""

import asyncio
import json
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect, Request

from intent_bert.serving.problems import Problem, TooLarge, shown
from intent_bert.serving.settings import ServerSettings


async def read_body(request: Request, settings: ServerSettings) -> bytes:
    """The whole body.

    Raises:
        Problem: it is longer than ``max_body``, compressed, or has not come within ``read_timeout``.
        ClientDisconnect: the client has gone.
    """
    length = request.headers.get("content-length", "0")
    too_large = TooLarge(f"the body must have at most {settings.max_body:,} bytes: send fewer texts at a time", True)
    if len(length) > 15 or not length.isdecimal() or int(length) > settings.max_body:
        raise too_large
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Problem("the body is compressed, which this server does not read: send it as it is", 415, close=True)
    parts, size = [], 0
    try:
        async with asyncio.timeout(settings.read_timeout):
            async for part in request.stream():
                size += len(part)
                if size > settings.max_body:
                    raise too_large
                parts.append(part)
    except TimeoutError:
        raise Problem(
            f"the body has not come within {settings.read_timeout:g} seconds", 408, reason="slow", close=True
        ) from None
    except ClientDisconnect:
        raise
    return b"".join(parts)


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object that a body is.

    Raises:
        Problem: it is none.
    """
    try:
        value = json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise Problem(f"the body is not UTF-8 (byte {error.start}): send JSON in UTF-8") from None
    except json.JSONDecodeError as error:
        raise Problem(f"the body is no JSON ({error.msg}, line {error.lineno} column {error.colno})") from None
    except RecursionError:
        raise Problem("the body is nested too deeply: expected a flat JSON object") from None
    except ValueError:  # a whole number of thousands of digits
        raise Problem("the body holds a number that is too long") from None
    if not isinstance(value, dict):
        raise Problem(f"the body must be a JSON object, not {shown(value)}")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise json.JSONDecodeError(f"{name} is no JSON", "", 0)
