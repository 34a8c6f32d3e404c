"""How a command ends: exit codes, tracebacks, a closed pipe; and what a TensorFlow import prints."""

import io
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from intent_bert.cli.console import run_as_command
from intent_bert.errors import DataError

RUN = "import sys; from intent_bert.cli.console import run_as_command, import_tensorflow_quietly as tensorflow; "


def test_messages_go_to_stderr_and_are_handed_back_to_logging(capsys):
    logger = logging.getLogger("intent_bert")

    def work() -> None:
        print("result")
        logger.info("done")
        logger.warning("look")

    assert run_as_command(work) == 0
    assert tuple(capsys.readouterr()) == ("result\n", "done\nwarning: look\n")
    assert logger.handlers == []
    assert logger.propagate


def test_a_mistake_of_the_users_is_one_sentence_and_2(capsys):
    def work() -> None:
        raise DataError("no such file: no.csv")

    assert run_as_command(work) == 2
    assert tuple(capsys.readouterr()) == ("", "intent-bert: no such file: no.csv\n")


def test_ctrl_c_is_130(capsys):
    assert run_as_command(lambda: signal.raise_signal(signal.SIGINT)) == 130
    assert tuple(capsys.readouterr()) == ("", "intent-bert: interrupted\n")


def test_ctrl_c_pressed_twice_is_no_traceback(monkeypatch):
    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stderr", Stream())
    assert run_as_command(lambda: signal.raise_signal(signal.SIGINT)) == 130


def test_a_fault_of_ours_shows_its_traceback_and_exits_with_1():
    script = RUN + "sys.exit(run_as_command(lambda: 1 / 0))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_a_reader_that_leaves_early_is_no_fault():
    process = subprocess.Popen(
        [sys.executable, "-m", "intent_bert.cli", "checkpoints"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 0
    assert b"Traceback" not in err
    assert b"BrokenPipe" not in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("lines", [1, 10_000])
def test_a_full_disk_under_stdout_is_told_in_one_sentence(lines):
    script = RUN + f"sys.exit(run_as_command(lambda: [print('a line of output') for _ in range({lines})]))"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    for buffered in ([], ["-u"]):
        with Path("/dev/full").open("w") as full:
            command = [sys.executable, *buffered, "-c", script]
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment)
        assert (done.returncode, done.stderr) == (2, "intent-bert: can't write to stdout: No space left on device\n")


def test_an_error_of_the_system_that_is_not_of_stdout_is_a_fault_of_ours(capsys):
    with pytest.raises(FileNotFoundError):
        run_as_command(lambda: open("/nowhere/at/all"))  # noqa: PTH123, SIM115


def test_a_file_that_may_not_be_read_or_written_is_the_users_to_open(capsys):
    def work() -> None:
        raise PermissionError(13, "Permission denied", "theirs/vocab.txt")

    assert run_as_command(work) == 2
    expected = "intent-bert: can't read or write theirs/vocab.txt: Permission denied\n"
    assert tuple(capsys.readouterr()) == ("", expected)


@pytest.mark.slow
def test_tensorflow_is_imported_without_a_word_and_its_failure_shows_all(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", RUN + "tensorflow(); print('tensorflow' in sys.modules)"], capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("True\n", "")
    broken = "import os\nos.write(2, b'no such library\\n')\nraise ImportError('broken')\n"
    (tmp_path / "tensorflow.py").write_text(broken)
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {RUN}tensorflow()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("no such library\nTraceback")
    assert done.stderr.endswith("ImportError: broken\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_the_caller_has_closed_is_nowhere(closed, tmp_path):
    script = (
        RUN
        + "work = lambda: (print('result', sys.stdin.read()), tensorflow(), print('told', file=sys.stderr)); "
        + "sys.exit(run_as_command(work))"
    )
    (tmp_path / "tensorflow.py").write_text("")
    command = ["sh", "-c", f'"$0" "$@" {closed}', sys.executable, "-c", script]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment)
    assert done.returncode == 0
    assert done.stdout == ("" if ">&- 2" in closed or closed == ">&-" else "result \n")
    assert done.stderr == ("" if "2>&-" in closed else "told\n")
