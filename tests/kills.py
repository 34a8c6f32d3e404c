"""Kill a piece of work at each of its steps on the disk, in processes of their own."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from itertools import count

STEPS = ("open", "os.", "shutil.", "fcntl.", "ctypes.")  # the audit events that count


def killed_at_each_step(work: Callable[[], object], every: int = 1) -> Iterator[int]:
    """Run ``work`` again and again in a forked process that kills itself before its n-th step; gives each n.

    Ends with the run that comes through. ``work`` must not need threads, so no TensorFlow. A killed process needs no
    flushed disk, so that is left out.
    """
    for step in count(1, every):
        child = os.fork()
        if not child:
            _run_until(work, step)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            assert os.waitstatus_to_exitcode(status) == 0, "the work failed by itself"
            return
        assert os.WTERMSIG(status) == signal.SIGKILL
        yield step


def _run_until(work: Callable[[], object], step: int) -> None:
    seen = 0

    def watch(event: str, _: object) -> None:
        nonlocal seen
        seen += event.startswith(STEPS)
        if seen == step:
            os.kill(os.getpid(), signal.SIGKILL)

    os.fsync = lambda _: None
    try:
        sys.addaudithook(watch)
        work()
        os._exit(0)
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)
