"""The installed command.

It answers --version and completions with few imports, and otherwise starts the command line.
"""

# The signal handlers are set before anything that takes time, so that Ctrl-C has its message and exit code
# from here on. Both modules are built in or already loaded; importing `signal`, which wraps `_signal`, would
# add a sixth to the time of --version.
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
    """Record a signal for the command line, which reports it; exit at once on the second."""
    _pending_signals.append(number)
    if len(_pending_signals) > 1:
        os._exit(128 + number)


def run() -> None:
    """Run `docsend` with the arguments of the process, and exit with its exit code."""
    code = _run(sys.argv[1:])
    _handle_signals(_exit_now)
    failure = _flush(sys.stdout)
    # A broken pipe means only that the reader has closed standard output.
    if failure is not None and not isinstance(failure, BrokenPipeError):
        from docsend.errors import ExitCode

        code = code or ExitCode.LOCAL
    _flush(sys.stderr)  # A failure here does not change the exit code: only messages are lost.
    # The result has been reported, so a signal must not change the exit code any more. Python would restore
    # the default handlers at exit.
    _handle_signals(_signal.SIG_IGN)
    # Skip the garbage collection of modules at exit, which takes a fifth of a short run.
    gc.freeze()
    sys.exit(code)


def _flush(stream: "TextIO | None") -> OSError | None:
    """Flush a stream and return the error, if any.

    After an error the stream writes to the null device, so that Python does not flush it again at exit.
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
    # After its imports a run creates few reference cycles, and collecting garbage among the modules would
    # take a tenth of its time.
    gc.set_threshold(100_000)
    from docsend.cli.app import main

    return main(argv, _pending_signals)


if __name__ == "__main__":
    run()
