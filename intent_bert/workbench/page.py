"""One HTML file that opens anywhere: no server, no request, under five megabytes, light and dark, on a phone as well.

    Page("What is wrong with it", [Section("Findings", [Table(["text"], [["play it"]])])]).write(Path("report.html"))

Style, script and pictures stand inside the file. Its content security policy lets nothing be fetched, and no script run
but the one that stands in templates/page.js, named by its sha256: even a text that slipped past the escaping would
stay text. What a page is made of is page_blocks.py's business, how a value is written page_views.py's.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from intent_bert.errors import SettingsError
from intent_bert.files.atomic import atomic_file, check_writable
from intent_bert.version import __version__
from intent_bert.workbench.page_blocks import Section
from intent_bert.workbench.page_views import as_cell, as_column, as_data_uri, as_matrix, script_json

if TYPE_CHECKING:
    import jinja2

MOST_BYTES = 5_000_000
MOST_ROWS = (5000, 2000, 1000, 500, 200, 100, 50, 20)  # of a table: the first that keeps the page small enough


@dataclass(frozen=True)
class Page:
    """A page: a title, a line beneath, and sections.

    Attributes:
        title: what the page is about.
        sections: its parts.
        subtitle: of what it tells: a model, a table.
    """

    title: str
    sections: Sequence[Section]
    subtitle: str = ""

    def html(self) -> str:
        """The page as one text; of long tables as many rows as leave it under ``MOST_BYTES``."""
        for most in MOST_ROWS:
            text = self._rendered(most)
            if len(text.encode("utf-8", "replace")) < MOST_BYTES:
                break
        return text

    def write(self, path: Path) -> None:
        """Write the page; a file that stands there is replaced.

        Raises:
            DiskError: it can't be written.
        """
        text = self.html()
        with atomic_file(path) as partial:
            partial.write_text(text, encoding="utf-8", errors="replace", newline="\n")

    def _rendered(self, most: int) -> str:
        style, script = _asset("page.css"), _asset("page.js")
        return (
            _environment()
            .get_template("page.html")
            .render(
                page=self,
                most=most,
                style=style,
                script=script,
                policy=_policy(style, script),
                version=__version__,
            )
        )


def check_page_place(output: str | PathLike) -> Path:
    """The file for a page, once it is known that it can be written; call it before the slow work.

    Raises:
        SettingsError: it is a folder, its folder is missing, or its name does not end in .html.
        DiskError: it can't be written.
    """
    path = Path(output)
    if path.is_dir():
        raise SettingsError(f"can't write {output}: it is a folder; name a file, such as {path / 'report.html'}")
    if path.suffix.lower() not in (".html", ".htm"):
        raise SettingsError(f"expected a name that ends in .html, not {path.name!r}")
    if not path.parent.is_dir():
        raise SettingsError(f"can't write {output}: there is no folder {path.parent}")
    check_writable(path)
    return path


# --- rendering ---------------------------------------------------------------------------------------------------


@cache
def _environment() -> "jinja2.Environment":
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("intent_bert.workbench"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"column": as_column, "cell": as_cell, "data_uri": as_data_uri, "matrix": as_matrix}
    environment.filters["script_json"] = lambda value: Markup(script_json(value))
    return environment


@cache
def _asset(name: str) -> str:
    return files("intent_bert.workbench").joinpath("templates", name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """A content security policy: pictures inside the page, and this style and this script."""
    hashes = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in (style, script)]
    allowed = f"style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'"
    return f"default-src 'none'; img-src data:; {allowed}; base-uri 'none'; form-action 'none'"
