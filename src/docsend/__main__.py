"""The installed command. Answers --version and a Tab before much is imported, then opens the command line."""

# All built in or loaded already. `signal`, which wraps `_signal`, would take 7 ms to import, and Ctrl-C in
# that time would show a traceback.
import _signal  # type: ignore[import-not-found]
import gc
import os
import sys

from docsend import __version__

_noted: list[int] = []


def _handle_signals(handle: object) -> None:
    for number in (_signal.SIGINT, _signal.SIGTERM):
        if _signal.getsignal(number) != _signal.SIG_IGN:  # as a shell's background jobs have it
            _signal.signal(number, handle)


def _end(number: int, _frame: object) -> None:
    os._exit(128 + number)


def _note(number: int, _frame: object) -> None:
    """Leave the first signal to the command line, which reports it; end the process at the second."""
    _noted.append(number)
    if len(_noted) > 1:
        os._exit(128 + number)


_handle_signals(_end)


def run() -> None:
    """Run `docsend` with the process's own arguments, and end the process with its exit code."""
    code = _run(sys.argv[1:])
    _handle_signals(_end)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        pass  # nobody reads any more
    except OSError:
        from docsend.errors import ExitCode

        code = code or ExitCode.LOCAL
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:
        pass  # talk, as of a library that warns, changes nothing
    # What was opened is closed, and what was promised is on the disk. Python would now look for garbage among
    # its modules and take them apart one by one, a sixth of a short run: they go with the process.
    os._exit(code)


def _run(words: list[str]) -> int:
    if words == ["--version"] and sys.stdout is not None:
        try:
            os.write(sys.stdout.fileno(), f"docsend {__version__}\n".encode())
        except OSError:
            pass  # the command line tries again, and says what fails
        else:
            return 0
    if words[:1] == ["_complete"]:
        from docsend import completion

        return completion.main(words[1:])
    _handle_signals(_note)
    # A run makes its modules and then few cycles: looking for garbage among them is a tenth of its time.
    gc.set_threshold(100_000)
    from docsend.cli.app import main

    return main(words, _noted)


if __name__ == "__main__":
    run()
