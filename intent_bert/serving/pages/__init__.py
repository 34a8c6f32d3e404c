"""The pages for people: one to try a sentence, one that describes the addresses. Fixed files; nothing is filled in.

What the pages show of a request or an answer, their scripts write as text, never as HTML. They load nothing from
elsewhere.
"""

from functools import cache
from pathlib import Path

from starlette.responses import Response

from intent_bert.serving.problems import NotFound

_FOLDER = Path(__file__).parent
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
_FILES = frozenset({"index.html", "index.js", "docs.html", "docs.js", "style.css"})


def response(name: str) -> Response:
    """One of the files.

    Raises:
        NotFound: there is none of this name.
    """
    if name not in _FILES:
        raise NotFound("nothing is at this address: GET /docs says what is")
    return Response(_content(name), media_type=_TYPES[Path(name).suffix])


@cache
def _content(name: str) -> bytes:
    return (_FOLDER / name).read_bytes()
