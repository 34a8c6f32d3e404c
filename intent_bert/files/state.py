"""What a run needs to go on after a kill: the settings it had and how far it came, in one JSON file.

The file is swapped in whole. It knows nothing of the other files that a run keeps; those are written first, and the
state names them.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from intent_bert.errors import DiskError, SettingsError, reason
from intent_bert.files.atomic import atomic_file, remove_leftovers


class SavedState:
    """Settings and values in a JSON file; for one writer at a time (``lock.one_writer``).

    Args:
        path: the file.
        settings: those that a run must share to go on; anything that JSON can hold, other values as their text.
        name: what messages call the run, such as "the unfinished run in runs/model".
        advice: what to do where the settings differ.
        restart: what to do where the file is damaged.
        hashes: settings whose values say nothing to people, with what a message says where they differ, such as
            {"model": "another model"}.
    """

    def __init__(
        self,
        path: Path,
        settings: Mapping[str, Any],
        *,
        name: str,
        advice: str,
        restart: str,
        hashes: Mapping[str, str] | None = None,
    ) -> None:
        self.path, self.name, self.advice, self.restart = path, name, advice, restart
        self.hashes = hashes or {}
        self.settings: dict[str, Any] = json.loads(json.dumps(settings, default=str))

    def read(self) -> dict[str, Any] | None:
        """The values that were written last; None where there are none.

        Raises:
            SettingsError: they belong to a run with other settings.
            DiskError: the file can't be read, or is damaged.
        """
        remove_leftovers(self.path)
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            settings, values = dict(content["settings"]), dict(content["values"])
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DiskError(f"can't read {self.path}: {reason(error)}") from error
        except (ValueError, KeyError, TypeError, RecursionError):
            raise DiskError(f"{self.path} is damaged: {self.restart}") from None
        self._refuse_others(settings)
        return values

    def _refuse_others(self, settings: dict[str, Any]) -> None:
        for name in (*self.settings, *settings):
            had, has = settings.get(name), self.settings.get(name)
            if had != has:
                difference = self.hashes.get(name, f"{name}={had}, not {has}")
                raise SettingsError(f"{self.name} had {difference}: {self.advice}")

    def write(self, values: Mapping[str, Any]) -> None:
        """Swap in new values.

        Raises:
            DiskError: they can't be written; the former ones still stand there.
        """
        content = json.dumps({"settings": self.settings, "values": values}, indent=2)
        with atomic_file(self.path) as partial:
            partial.write_text(content, encoding="utf-8")

    def remove(self) -> None:
        """Forget the run."""
        remove_leftovers(self.path)
        self.path.unlink(missing_ok=True)
