"""`docsend receipts`: what was sent from here, and what came back."""

from typing import TYPE_CHECKING, Annotated

import typer

from docsend.cli.session import Session, command
from docsend.errors import ExitCode, UsageFault

if TYPE_CHECKING:
    from docsend.ledger import Entry, Ledger

EXITS = (
    ExitCode.RECEIVED,
    ExitCode.BUG,
    ExitCode.USAGE,
    ExitCode.LOCAL,
    ExitCode.INTERRUPTED,
    ExitCode.TERMINATED,
)

Key = Annotated[str, typer.Argument(metavar="KEY", help="A submission's key, or how it begins.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(rich_markup_mode=None, help="What was sent from here: list, show.")
    command(
        group,
        None,
        exits=EXITS,
        example="docsend receipts\ndocsend receipts --json | jq '.receipts[].receipt.number'",
        invoke_without_command=True,
    )(list_)
    command(group, "show", exits=EXITS, example="docsend receipts show 7QH2XKZL")(show)
    app.add_typer(group, name="receipts")


def list_(
    session: Session,
    *,
    most: Annotated[int | None, typer.Option("--most", metavar="N", min=1, help="Only the latest N.")] = None,
) -> None:
    """List what was sent from here, the latest first, and show single receipts."""
    from docsend import receipts  # noqa: PLC0415 - --help does without

    with session.ledger() as ledger:
        entries = ledger.entries(most=most)
    session.console.receipts([(entry, receipts.kept(entry)) for entry in entries])


def show(session: Session, key: Key) -> None:
    """Show one submission with all that the ledger holds of it."""
    from docsend import receipts  # noqa: PLC0415 - --help does without

    with session.ledger() as ledger:
        entry = _one(ledger, key)
    session.console.kept(entry, receipts.kept(entry))


def _one(ledger: "Ledger", key: str) -> "Entry":
    found = ledger.named(key)
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageFault(
            f"the ledger has no key that begins with {key[:60]!r}", "`docsend receipts` lists them"
        )
    several = ", ".join(f"{entry.key[:12]} ({entry.service})" for entry in found[:5])
    raise UsageFault(f"{len(found)} submissions begin with {key[:60]!r}: {several}", "give more of the key")
