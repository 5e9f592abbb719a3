"""The installed command. Answers --version and a Tab before much is imported, then opens the command line."""

import gc
import sys

from docsend import __version__


def run() -> int:
    """Run `docsend` with the process's own arguments and return its exit code."""
    code = _run(sys.argv[1:])
    # What is left goes with the process: to look for garbage in it first is a tenth of a short run.
    gc.freeze()
    return code


def _run(words: list[str]) -> int:
    if words == ["--version"]:
        sys.stdout.write(f"docsend {__version__}\n")
        return 0
    if words[:1] == ["_complete"]:
        from docsend import completion  # noqa: PLC0415 - and a Tab must not pay for Typer

        return completion.main(words[1:])
    # A run makes its modules and then few cycles: looking for garbage among them is a tenth of its time.
    gc.set_threshold(100_000)
    from docsend.cli.app import main  # noqa: PLC0415 - --version must not pay for Typer

    return main(words)


if __name__ == "__main__":
    sys.exit(run())
