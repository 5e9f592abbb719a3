"""Asking a person on a terminal. The only user of prompt_toolkit, imported only when something is asked.

Questions are talk and go to stderr, so that `docsend send FILE > receipt.txt` can ask, too.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import Completer, Completion, PathCompleter
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.output import create_output
from prompt_toolkit.shortcuts import CompleteStyle
from prompt_toolkit.styles import Style
from prompt_toolkit.validation import ValidationError, Validator

from docsend.i18n import Message
from docsend.model import search
from docsend.text import escape_for_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    from docsend.i18n import Displayable
    from docsend.ui.interactive import Choice, Validate

    Render = Callable[[Displayable], str]

_STYLE = Style.from_dict(
    {
        "question": "bold",
        "bottom-toolbar": "noreverse dim",
        "completion-menu": "bg:default fg:default",
        "completion-menu.completion.current": "reverse",
        "completion-menu.meta.completion": "bg:default fg:default dim",
        "completion-menu.meta.completion.current": "bg:default fg:default bold",
        "scrollbar.background": "bg:default",
        "scrollbar.button": "reverse",
        "validation-toolbar": "noreverse bold",
    }
)
_MENU_LINES = 10
_HOW_TO_CHOOSE = Message("type words in any language, or use the arrows; Enter takes, Ctrl-C ends")
_HOW_TO_WRITE = Message("Enter takes, Ctrl-C ends")
_HOW_TO_SKIP = Message("Enter takes, or leaves it open; Ctrl-C ends")
_NO_CHOICE = Message("none of the choices has these words")
_NO_ANSWER = Message("an answer is needed")


_YES = frozenset({"y", "yes", "o", "oui", "כ", "כן"})
_NO = frozenset({"n", "no", "non", "ל", "לא"})


class TerminalPrompter:
    """Asks on the terminal of stdin and stderr; an `Asker` for `interactive`."""

    def __init__(self, render: Render) -> None:
        """Make it for a reader: `render` puts a message into the reader's language."""
        self._render = render

    def ask_choice(self, question: Message, choices: Sequence[Choice], default: str | None = None) -> str:
        menu = _Menu(choices, self._render)
        chosen = next((choice for choice in choices if choice.code == default), None)
        if chosen is not None:
            question = Message(
                "{question} [{default}]", question=question, default=chosen.label or chosen.code
            )

        def validate(text: str) -> Message | None:
            if not text.strip():
                return None if chosen else _NO_ANSWER
            return None if menu.meant(text) else _NO_CHOICE

        session = self._session(
            completer=menu, complete_while_typing=True, reserve_space_for_menu=_MENU_LINES
        )
        typed = self._ask(session, question, _HOW_TO_CHOOSE, validate, opens=True)
        while (answered := menu.meant(typed) or chosen) is None:
            typed = self._ask(session, question, _HOW_TO_CHOOSE, validate, opens=True)
        chosen = answered
        if typed.strip() and chosen.label:
            taken = Message("{label} ({code})", label=chosen.label, code=chosen.code)
            self._say(f"  {self._render(taken if typed.strip() != chosen.code else chosen.label)}")
        return chosen.code

    def ask_text(
        self, question: Message, validate: Validate, *, optional: bool = False, secret: bool = False
    ) -> str | None:
        def needed(text: str) -> Message | None:
            if not text.strip():
                return None if optional else _NO_ANSWER
            return validate(text)

        session = self._session(is_password=secret)
        how = _HOW_TO_SKIP if optional else _HOW_TO_WRITE
        return self._ask(session, question, how, needed).strip() or None

    def ask_files(self, question: Message) -> list[str]:
        session = self._session(
            completer=PathCompleter(expanduser=True),
            complete_while_typing=True,
            reserve_space_for_menu=_MENU_LINES,
        )

        def validate(text: str) -> Message | None:
            if not text.strip():
                return _NO_ANSWER
            return None if _file(text).exists() else Message("there is no file {name}", name=text.strip())

        return [str(_file(self._ask(session, question, _HOW_TO_WRITE, validate)))]

    def confirm(self, question: Message) -> bool:
        """Ask a last time. An Enter alone is no answer: one too many may still be on its way."""

        def validate(text: str) -> Message | None:
            return None if text.strip().casefold() in _YES | _NO else _NO_ANSWER

        return self._ask(self._session(), question, _HOW_TO_WRITE, validate).strip().casefold() in _YES

    @staticmethod
    def _say(line: str) -> None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def _session(self, **options: object) -> PromptSession[str]:
        make: Callable[..., PromptSession[str]] = PromptSession
        return make(
            output=create_output(stdout=sys.stderr),
            style=_STYLE,
            complete_style=CompleteStyle.COLUMN,
            validate_while_typing=False,
            enable_history_search=False,
            enable_suspend=True,
            **options,
        )

    def _ask(
        self,
        session: PromptSession[str],
        question: Message,
        how: Message,
        validate: Validate,
        *,
        opens: bool = False,
    ) -> str:
        """Ask one question until `judge` has nothing to say against the answer."""
        buffer = session.default_buffer

        def open_menu(_: object = None) -> None:
            # Also when something was taken back; prompt_toolkit by itself looks only at what is added.
            if opens and buffer.complete_state is None:
                buffer.start_completion()

        buffer.on_text_changed += open_menu

        try:
            return session.prompt(
                FormattedText([("class:question", self._render(Message("{question}: ", question=question)))]),
                validator=_PromptValidator(validate, self._render),
                bottom_toolbar=self._render(how),
                pre_run=open_menu,
            )
        except EOFError:  # Ctrl-D
            raise KeyboardInterrupt from None


def _file(text: str) -> Path:
    return Path(text.strip()).expanduser()


class _PromptValidator(Validator):
    def __init__(self, check: Validate, render: Render) -> None:
        self._judge = check
        self._render = render

    def validate(self, document: Document) -> None:
        fault = self._judge(document.text)
        if fault is not None:
            raise ValidationError(len(document.text), self._render(fault))


class _Menu(Completer):
    """The choices that have the words typed so far, in any language of the catalog; best first."""

    def __init__(self, choices: Sequence[Choice], render: Render) -> None:
        self._choices = choices
        self._render = render

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        _ = complete_event
        for choice in self._fitting(document.text):
            yield Completion(
                choice.code,
                start_position=-len(document.text),
                display=escape_for_terminal(choice.code),
                display_meta=self._render(choice.label),
            )

    def meant(self, text: str) -> Choice | None:
        """Give the choice of this code, or else the one that fits the words best."""
        return next(iter(self._fitting(text)), None) if text.strip() else None

    def _fitting(self, text: str) -> Sequence[Choice]:
        typed = text.strip()
        if not typed:
            return self._choices
        plainly = search.normalize(typed)
        exact = [choice for choice in self._choices if choice.code == typed]
        begun = [choice for choice in self._choices if search.normalize(choice.code).startswith(plainly)]
        rows = [choice.entry for choice in self._choices if choice.entry]
        by_code = {choice.code: choice for choice in self._choices}
        by_words = [by_code[hit.entry.code] for hit in search.find(typed, rows)]
        plain = [
            choice
            for choice in self._choices
            if choice.entry is None
            and plainly in search.normalize(f"{choice.code} {self._render(choice.label)}")
        ]
        best_last = [*exact, *begun, *by_words, *plain][::-1]
        return list({choice.code: choice for choice in best_last}.values())[::-1]
