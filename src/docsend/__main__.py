"""The installed command. Answers --version and a Tab before much is imported, then opens the command line."""

import gc
import sys

from docsend import __version__


def run() -> int:
    """Run `docsend` with the process's own arguments and return its exit code."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"docsend {__version__}\n")
        return 0
    if sys.argv[1:2] == ["_complete"]:
        from docsend import completion  # noqa: PLC0415 - and a Tab must not pay for Typer

        return completion.main(sys.argv[2:])
    # A run makes its modules and then few cycles: looking for garbage among them is a tenth of its time.
    gc.set_threshold(100_000)
    from docsend.cli.app import main  # noqa: PLC0415 - --version must not pay for Typer

    code = main(sys.argv[1:])
    gc.freeze()  # what is left goes with the process
    return code


if __name__ == "__main__":
    sys.exit(run())
