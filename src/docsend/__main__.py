"""The installed command. Answers --version and a Tab before much is imported, then opens the command line."""

# The first statements, before anything that takes time: a Ctrl-C has its word and its exit code from here on.
# Built in, or loaded already; `signal`, which wraps `_signal`, would take a sixth of the time of --version.
import _signal  # type: ignore[import-not-found]
import os


def _handle_signals(handle: object) -> None:
    for number in (_signal.SIGINT, _signal.SIGTERM):
        if _signal.getsignal(number) != _signal.SIG_IGN:  # as a shell's background jobs have it
            _signal.signal(number, handle)


def _end(number: int, _frame: object) -> None:
    """Say so, and end the process here and now."""
    try:  # noqa: SIM105 - contextlib is not here yet
        os.write(2, b"docsend: interrupted\n")
    except OSError:
        pass  # nobody reads it, and the exit code says it, too
    os._exit(128 + number)


_handle_signals(_end)

import gc
import sys

from docsend import __version__

TYPE_CHECKING = False  # as `typing` has it, which --version does without
if TYPE_CHECKING:
    from typing import TextIO

_noted: list[int] = []


def _note(number: int, _frame: object) -> None:
    """Leave the first signal to the command line, which reports it; end the process at the second."""
    _noted.append(number)
    if len(_noted) > 1:
        os._exit(128 + number)


def run() -> None:
    """Run `docsend` with the process's own arguments, and end the process with its exit code."""
    code = _run(sys.argv[1:])
    _handle_signals(_end)
    failure = _flushed(sys.stdout)
    if failure is not None and not isinstance(failure, BrokenPipeError):  # of which nobody reads any more
        from docsend.errors import ExitCode

        code = code or ExitCode.LOCAL
    _flushed(sys.stderr)  # talk, as of a library that warns, changes nothing
    # It is told already how the run ended; and the end of Python would give signals back to the system.
    _handle_signals(_signal.SIG_IGN)
    # Python would now look for garbage among its modules, a fifth of a short run: they go with the process.
    gc.freeze()
    sys.exit(code)


def _flushed(stream: "TextIO | None") -> OSError | None:
    """Write out what a stream still holds; return what fails, and let Python not try it again."""
    if stream is None:
        return None
    try:
        stream.flush()
    except OSError as failure:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        return failure
    return None


def _run(words: list[str]) -> int:
    if words == ["--version"] and sys.stdout is not None:
        try:
            os.write(sys.stdout.fileno(), f"docsend {__version__}\n".encode())
        except OSError:
            pass  # the command line tries again, and says what fails
        else:
            return 0
    if words[:1] == ["_complete"]:
        from docsend.cli import complete

        return complete.main(words[1:])
    _handle_signals(_note)
    # A run makes its modules and then few cycles: looking for garbage among them is a tenth of its time.
    gc.set_threshold(100_000)
    from docsend.cli.app import main

    return main(words, _noted)


if __name__ == "__main__":
    run()
