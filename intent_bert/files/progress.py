"""Progress bars on stderr: one way to make them."""

import sys
from typing import Any

from tqdm import tqdm


def progress_bar(total: int | None, description: str | None, unit: str, **options: Any) -> tqdm:
    """A bar; in a log file it writes a line now and then, on a terminal it moves. No description: no bar."""
    interval = 0.1 if sys.stderr.isatty() else 10.0
    return tqdm(
        total=total,
        desc=description,
        unit=unit,
        mininterval=interval,
        dynamic_ncols=True,
        disable=description is None,
        **options,
    )
