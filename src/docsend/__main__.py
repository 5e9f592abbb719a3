"""The installed command. Answers --version and a Tab before much is imported, then opens the command line."""

import gc
import os
import sys

from docsend import __version__


def run() -> None:
    """Run `docsend` with the process's own arguments, and end the process with its exit code."""
    code = _run(sys.argv[1:])
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        pass  # nobody reads any more
    except OSError:
        from docsend.errors import ExitCode  # noqa: PLC0415 - only a failure needs it

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
        from docsend import completion  # noqa: PLC0415 - and a Tab must not pay for Typer

        return completion.main(words[1:])
    # A run makes its modules and then few cycles: looking for garbage among them is a tenth of its time.
    gc.set_threshold(100_000)
    from docsend.cli.app import main  # noqa: PLC0415 - --version must not pay for Typer

    return main(words)


if __name__ == "__main__":
    run()
