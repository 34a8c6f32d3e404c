"""How a command speaks to its caller: messages on stderr, one sentence for a mistake, exit codes, a quiet TensorFlow.

Exit 0: done; 2: a mistake of the user's, told in one sentence; 3: what a command looks for (``diff``, ``check``,
``drift``, ``doctor --fail-on``) was found; 1: a fault of ours, with its traceback.
"""

import contextlib
import errno
import io
import logging
import os
import sys
import tempfile
from collections.abc import Callable

from intent_bert.errors import IntentBertError, reason
from intent_bert.files.atomic import is_full

logger = logging.getLogger("intent_bert")

FOUND = 3

_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)


def run_as_command(run: Callable[[], int | None]) -> int:
    """Run a function as a command: messages on stderr, a user's mistake in one sentence, the exit code returned.

    The function may give an exit code of its own; None is 0.
    """
    _open_closed_streams()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        code = run()
        sys.stdout.flush()
    except IntentBertError as error:
        print(f"intent-bert: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        with contextlib.suppress(KeyboardInterrupt):  # pressed a second time
            print("intent-bert: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as in `intent-bert predict ... | head`
        _give_up_stdout()
        return 0
    except OSError as error:
        if error.errno in _NOT_ALLOWED and error.filename:
            print(f"intent-bert: can't read or write {error.filename}: {reason(error)}", file=sys.stderr)
            return 2
        if not is_full(error):
            raise
        _give_up_stdout()
        print(f"intent-bert: can't write {error.filename or 'to stdout'}: {reason(error)}", file=sys.stderr)
        return 2
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
    return code if isinstance(code, int) else 0


def print_in_utf8(text: str) -> None:
    """Print to stdout in UTF-8, whatever the terminal's language; what can't be encoded is escaped."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    print(text)


def _open_closed_streams() -> None:
    """Give the standard streams that the caller has closed (``2>&-``) to nowhere, before a file takes their numbers."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            stream = open(number, "w" if number else "r", encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def _give_up_stdout() -> None:
    """Send what comes nowhere, Python's own flush at the end among it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def import_tensorflow_quietly() -> None:
    """Import TensorFlow without what its C++ side prints on the way; an import that fails shows it all.

    A command that needs Keras calls it first. What comes after finds TensorFlow imported.
    """
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), 2)
        try:
            import tensorflow  # noqa: F401
        except BaseException:
            printed.seek(0)
            os.write(stderr, printed.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        prefix = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        return prefix + super().format(record)
