"""Seams: the named places of the program in which something else can stand, for bugs planted on purpose.

A seam is "module:qualified.name" of a function or method, such as
"docsend.storage.ledger:Ledger.record_receipt". What takes its place has its parameters, behind one more: the
function that stood there, as in

    def received(right: Callable[..., None], self: Ledger, service: str, key: str, receipt: Receipt) -> None:

It may leave further parameters to `*rest` and `**named`. A way through a module that the seam's own module
uses means that use alone: "docsend.sandbox.store:os.fsync" is `os.fsync` as `docsend.sandbox.store` calls it.

It is put in its place as soon as its module has been executed, before any other module takes names from it.
Nothing of docsend is imported here: it goes into processes in which docsend has not begun.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Seam(NamedTuple):
    """A place, "module:qualified.name", and the wrong function for it."""

    place: str
    wrong: Callable[..., Any]

    @property
    def module(self) -> str:
        return self.place.partition(":")[0]

    def check(self) -> None:
        """Raise LookupError unless the place is there, and takes what the wrong function takes."""
        try:
            owner: Any = importlib.import_module(self.module)
            *way, name = self.place.partition(":")[2].split(".")
            for part in way:
                owner = getattr(owner, part)
            right = vars(owner)[name]
        except (ImportError, AttributeError, KeyError) as error:
            raise LookupError(f"{self.place} is not there any more: {error}") from error
        is_function = isinstance(right, (FunctionType, BuiltinFunctionType))
        if not is_function:
            raise LookupError(f"{self.place} is no function, but {right!r}")
        _, *taken = inspect.signature(self.wrong).parameters.values()
        given = list(inspect.signature(right).parameters.values())
        if any(one.kind in _VARIADIC for one in taken):
            taken = [one for one in taken if one.kind not in _VARIADIC]
            given = given[: len(taken)]
        if [_said(one) for one in taken] != [_said(one) for one in given]:
            raise LookupError(f"{self.place} takes other parameters: {inspect.signature(right)}")
        if inspect.iscoroutinefunction(right) != inspect.iscoroutinefunction(self.wrong):
            raise LookupError(f"{self.place} is async, or is so no more")

    def plant(self, module: ModuleType) -> None:
        """Let the wrong function stand in its place from now on."""
        owner: Any = module
        *way, name = self.place.partition(":")[2].split(".")
        for part in way:
            inner = getattr(owner, part)
            if isinstance(inner, ModuleType):
                inner = _as_one_sees_it(inner)
                setattr(owner, part, inner)
            owner = inner
        setattr(owner, name, _instead(vars(owner)[name], self.wrong))


def plant(seams: Iterable[Seam]) -> None:
    """Plant each as soon as its module is imported, which must not have happened yet."""
    sys.meta_path.insert(0, _Finder(list(seams)))


class _Finder:
    """Finds the modules that have seams, and nothing else."""

    def __init__(self, seams: list[Seam]) -> None:
        self._seams = seams

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        seams = [seam for seam in self._seams if seam.module == name]
        spec = PathFinder.find_spec(name, path, target) if seams else None
        if spec is not None:
            assert isinstance(spec.loader, SourceFileLoader)
            spec.loader = _Planting(spec.loader, seams)
        return spec


class _Planting(SourceFileLoader):
    """Loads a module, and plants what belongs into it before anybody else sees it."""

    def __init__(self, loader: SourceFileLoader, seams: list[Seam]) -> None:
        super().__init__(loader.name, loader.path)
        self._seams = seams

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        for seam in self._seams:
            seam.plant(module)


def _instead(right: Callable[..., Any], wrong: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(right)
    def instead(*given: Any, **named: Any) -> Any:
        return wrong(right, *given, **named)

    return instead


def _as_one_sees_it(module: ModuleType) -> ModuleType:
    """Give a copy of a module, so that what is changed in it is changed for one of its users only."""
    seen = ModuleType(module.__name__)
    vars(seen).update(vars(module))
    return seen


def _said(parameter: inspect.Parameter) -> tuple[Any, ...]:
    return parameter.name, parameter.kind, parameter.default
