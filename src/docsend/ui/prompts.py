"""Prompts on a terminal. Only this module uses prompt_toolkit. It is imported only to ask a question.

Questions go to stderr, so that `docsend send FILE > receipt.txt` can still prompt.
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
_CHOICE_TOOLBAR = Message("type words in any language or use the arrow keys; Enter: select, Ctrl-C: cancel")
_TEXT_TOOLBAR = Message("Enter: confirm, Ctrl-C: cancel")
_OPTIONAL_TOOLBAR = Message("Enter: confirm or skip, Ctrl-C: cancel")
_NO_CHOICE = Message("no choice matches these words")
_NO_ANSWER = Message("an answer is required")
_NEITHER_YES_NOR_NO = Message("answer y or n")


_YES = frozenset({"y", "yes", "o", "oui", "כ", "כן"})
_NO = frozenset({"n", "no", "non", "ל", "לא"})


class TerminalPrompter:
    """A `Prompter` for a terminal: it reads answers from stdin and writes questions to stderr."""

    def __init__(self, render: Render) -> None:
        """Create a prompter. `render` translates a text into the reader's language."""
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
            return None if menu.best_match(text) else _NO_CHOICE

        session = self._session(
            completer=menu, complete_while_typing=True, reserve_space_for_menu=_MENU_LINES
        )
        typed = self._ask(session, question, _CHOICE_TOOLBAR, validate, opens_menu=True)
        while (answer := menu.best_match(typed) or chosen) is None:
            typed = self._ask(session, question, _CHOICE_TOOLBAR, validate, opens_menu=True)
        chosen = answer
        if typed.strip() and chosen.label:
            confirmation = Message("{label} ({code})", label=chosen.label, code=chosen.code)
            self._print(f"  {self._render(confirmation if typed.strip() != chosen.code else chosen.label)}")
        return chosen.code

    def ask_text(
        self, question: Message, validate: Validate, *, optional: bool = False, secret: bool = False
    ) -> str | None:
        def validate_required(text: str) -> Message | None:
            if not text.strip():
                return None if optional else _NO_ANSWER
            return validate(text)

        session = self._session(is_password=secret)
        toolbar = _OPTIONAL_TOOLBAR if optional else _TEXT_TOOLBAR
        return self._ask(session, question, toolbar, validate_required).strip() or None

    def ask_files(self, question: Message) -> list[str]:
        session = self._session(
            completer=PathCompleter(expanduser=True),
            complete_while_typing=True,
            reserve_space_for_menu=_MENU_LINES,
        )

        def validate(text: str) -> Message | None:
            if not text.strip():
                return _NO_ANSWER
            return None if _path(text).exists() else Message("there is no file {name}", name=text.strip())

        return [str(_path(self._ask(session, question, _TEXT_TOOLBAR, validate)))]

    def confirm(self, question: Message) -> bool:
        """Ask for the final confirmation. Return whether the answer was yes.

        Enter alone is not accepted, because it may be left over from the previous question.
        """

        def validate(text: str) -> Message | None:
            return None if text.strip().casefold() in _YES | _NO else _NEITHER_YES_NOR_NO

        return self._ask(self._session(), question, _TEXT_TOOLBAR, validate).strip().casefold() in _YES

    @staticmethod
    def _print(line: str) -> None:
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
        toolbar: Message,
        validate: Validate,
        *,
        opens_menu: bool = False,
    ) -> str:
        """Ask one question until `validate` accepts the answer, and return the answer.

        Ctrl-C and Ctrl-D raise KeyboardInterrupt.
        """
        buffer = session.default_buffer

        def open_menu(_: object = None) -> None:
            # prompt_toolkit itself completes only after an insertion, not after a deletion.
            if opens_menu and buffer.complete_state is None:
                buffer.start_completion()

        buffer.on_text_changed += open_menu

        try:
            return session.prompt(
                FormattedText([("class:question", self._render(Message("{question}: ", question=question)))]),
                validator=_PromptValidator(validate, self._render),
                bottom_toolbar=self._render(toolbar),
                pre_run=open_menu,
            )
        except EOFError:  # Ctrl-D
            raise KeyboardInterrupt from None


def _path(text: str) -> Path:
    return Path(text.strip()).expanduser()


class _PromptValidator(Validator):
    def __init__(self, check: Validate, render: Render) -> None:
        self._check = check
        self._render = render

    def validate(self, document: Document) -> None:
        message = self._check(document.text)
        if message is not None:
            raise ValidationError(len(document.text), self._render(message))


class _Menu(Completer):
    """Completer for the choices that match the words typed so far, in any language of the catalog."""

    def __init__(self, choices: Sequence[Choice], render: Render) -> None:
        self._choices = choices
        self._render = render

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        _ = complete_event
        for choice in self._matches(document.text):
            yield Completion(
                choice.code,
                start_position=-len(document.text),
                display=escape_for_terminal(choice.code),
                display_meta=self._render(choice.label),
            )

    def best_match(self, text: str) -> Choice | None:
        """Return the choice whose code is `text`, else the best match for its words, else None."""
        return next(iter(self._matches(text)), None) if text.strip() else None

    def _matches(self, text: str) -> Sequence[Choice]:
        """Return the matching choices, best first. Return all choices for an empty text."""
        typed = text.strip()
        if not typed:
            return self._choices
        query = search.normalize(typed)
        exact = [choice for choice in self._choices if choice.code == typed]
        by_prefix = [choice for choice in self._choices if search.normalize(choice.code).startswith(query)]
        rows = [choice.entry for choice in self._choices if choice.entry]
        by_code = {choice.code: choice for choice in self._choices}
        by_words = [by_code[hit.entry.code] for hit in search.find(typed, rows)]
        by_label = [
            choice
            for choice in self._choices
            if choice.entry is None
            and query in search.normalize(f"{choice.code} {self._render(choice.label)}")
        ]
        best_last = [*exact, *by_prefix, *by_words, *by_label][::-1]
        return list({choice.code: choice for choice in best_last}.values())[::-1]
