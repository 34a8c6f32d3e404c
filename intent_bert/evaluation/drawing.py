"""What all plots share: labels as plain text, and a plot as a file or as bytes. No screen is needed."""

from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intent_bert.errors import SettingsError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST_LABEL, LONGEST_TITLE = 40, 120  # characters; more leave a plot no room


def label_text(label: Any, longest: int = LONGEST_LABEL) -> str:
    r"""A label or title as matplotlib draws it character by character, in one line that is not too long.

    Matplotlib takes what stands between two dollar signs for mathematics, and ends in an exception if it is none.

    >>> label_text("costs $5 or $6")
    'costs \\$5 or \\$6'
    """
    text = " ".join(str(label).split())
    if len(text) > longest:
        text = f"{text[: longest - 1]}…"
    return text.replace("$", r"\$")


def save_plot(figure: "Figure", path: str | PathLike) -> None:
    """Write a plot; the name's ending says in which format.

    Raises:
        SettingsError: the name has no ending.
    """
    if not Path(path).suffix:  # matplotlib would draw into another file, with .png behind the name
        raise SettingsError(f"expected a name that ends in .png, .pdf or .svg, not {Path(path).name!r}")
    figure.savefig(path)


def png_bytes(figure: "Figure") -> bytes:
    """A plot as the bytes of a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)  # Figure.savefig draws twice
    return buffer.getvalue()
