"""The installed command.

It answers --version and shell completions with few imports. For everything else, it starts the command line.
"""

# Set the signal handlers before anything slow, so that Ctrl-C prints its message and exits with its code from
# the start. Both modules are built in or already loaded. Importing `signal`, the wrapper around `_signal`,
# would make --version take a sixth longer.
import _signal  # type: ignore[import-not-found]
import os


def _handle_signals(handle: object) -> None:
    for number in (_signal.SIGINT, _signal.SIGTERM):
        if _signal.getsignal(number) != _signal.SIG_IGN:  # A shell's background jobs ignore SIGINT.
            _signal.signal(number, handle)


def _exit_now(number: int, _frame: object) -> None:
    """Write a message and exit at once, without cleanup."""
    try:  # noqa: SIM105 - contextlib is not imported yet
        os.write(2, b"docsend: interrupted\n")
    except OSError:
        pass  # stderr is closed; the exit code reports the signal.
    os._exit(128 + number)


_handle_signals(_exit_now)

import gc
import sys

from docsend import __version__

TYPE_CHECKING = False  # Not from `typing`, so that --version need not import it.
if TYPE_CHECKING:
    from typing import TextIO

_pending_signals: list[int] = []


def _record_signal(number: int, _frame: object) -> None:
    """Record the first signal, so that the command line reports it. Exit at once on the second."""
    _pending_signals.append(number)
    if len(_pending_signals) > 1:
        os._exit(128 + number)


def run() -> None:
    """Run `docsend` with the process's arguments, and exit with its exit code."""
    code = _run(sys.argv[1:])
    _handle_signals(_exit_now)
    failure = _flush(sys.stdout)
    # A broken pipe is no error: the reader has closed its end of standard output.
    if failure is not None and not isinstance(failure, BrokenPipeError):
        from docsend.errors import ExitCode

        code = code or ExitCode.LOCAL
    _flush(sys.stderr)  # A failure here does not change the exit code: only messages are lost.
    # The result has been reported, so a signal must no longer change the exit code. It is ignored, because at
    # exit Python replaces every other handler with the default one.
    _handle_signals(_signal.SIG_IGN)
    # Do not garbage-collect the modules at exit: that would take a fifth of a short run's time.
    gc.freeze()
    sys.exit(code)


def _flush(stream: "TextIO | None") -> OSError | None:
    """Flush a stream and return the error, if any.

    After an error, redirect the stream to the null device, so that Python's own flush at exit does not fail.
    """
    if stream is None:
        return None
    try:
        stream.flush()
    except OSError as failure:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, stream.fileno())
        os.close(devnull)
        return failure
    return None


def _run(argv: list[str]) -> int:
    if argv == ["--version"] and sys.stdout is not None:
        try:
            os.write(sys.stdout.fileno(), f"docsend {__version__}\n".encode())
        except OSError:
            pass  # The command line below tries again and reports the error.
        else:
            return 0
    if argv[:1] == ["_complete"]:
        from docsend.cli import complete

        return complete.main(argv[1:])
    _handle_signals(_record_signal)
    # Once everything is imported, a run creates few reference cycles, and searching the modules for garbage
    # would take a tenth of its time.
    gc.set_threshold(100_000)
    from docsend.cli.app import main

    return main(argv, _pending_signals)


if __name__ == "__main__":
    run()
