"""The options that say whom documents are about, the same wherever they stand."""

from typing import Annotated

import typer

IdNumber = Annotated[
    str | None, typer.Option("--id", metavar="NUMBER", help="The insured person's id number.")
]
EmployerFile = Annotated[
    str | None, typer.Option("--employer-file", metavar="NUMBER", help="The employer's file number.")
]
EmployerKind = Annotated[
    str | None,
    typer.Option(
        "--employer-kind",
        metavar="KIND",
        help="deduction (if not said otherwise), household or building-committee.",
    ),
]
Mobile = Annotated[
    str | None, typer.Option("--mobile", metavar="NUMBER", help="The employer's mobile number.")
]
Email = Annotated[
    str | None,
    typer.Option("--email", metavar="ADDRESS", help="The employer's e-mail address, optional."),
]
