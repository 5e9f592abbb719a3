"""Replace functions of docsend with faulty ones, at import time, to plant bugs on purpose.

A seam names a function or method as "module:qualified.name", for example
"docsend.storage.ledger:Ledger.record_receipt". Its replacement takes the original function as an additional
first parameter, followed by the original parameters:

    def skip(original: Callable[..., None], self: Ledger, service: str, key: str, receipt: Receipt) -> None:

The replacement may collect the remaining parameters in `*rest` and `**named`. If the name leads through a
module that the seam's module imports, only that use is replaced: "docsend.sandbox.store:os.fsync" is
`os.fsync` as called by `docsend.sandbox.store`.

The replacement is installed as soon as the module has been executed, before other modules import names from
it. This module must not import docsend: it runs in processes before they import docsend.
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
    """A function of docsend, named "module:qualified.name", and its faulty replacement."""

    target: str
    replacement: Callable[..., Any]

    @property
    def module(self) -> str:
        return self.target.partition(":")[0]

    def check(self) -> None:
        """Raise LookupError unless the target exists and takes the same parameters as the replacement."""
        try:
            owner: Any = importlib.import_module(self.module)
            *path, name = self.target.partition(":")[2].split(".")
            for part in path:
                owner = getattr(owner, part)
            original = vars(owner)[name]
        except (ImportError, AttributeError, KeyError) as error:
            raise LookupError(f"{self.target} no longer exists: {error}") from error
        is_function = isinstance(original, (FunctionType, BuiltinFunctionType))
        if not is_function:
            raise LookupError(f"{self.target} is not a function: {original!r}")
        _, *accepted = inspect.signature(self.replacement).parameters.values()
        expected = list(inspect.signature(original).parameters.values())
        if any(parameter.kind in _VARIADIC for parameter in accepted):
            accepted = [parameter for parameter in accepted if parameter.kind not in _VARIADIC]
            expected = expected[: len(accepted)]
        if [_declaration(parameter) for parameter in accepted] != [
            _declaration(parameter) for parameter in expected
        ]:
            raise LookupError(f"{self.target} takes other parameters: {inspect.signature(original)}")
        if inspect.iscoroutinefunction(original) != inspect.iscoroutinefunction(self.replacement):
            raise LookupError(f"{self.target} and its replacement must both be async, or neither")

    def plant(self, module: ModuleType) -> None:
        """Replace the target in a module that has been executed."""
        owner: Any = module
        *path, name = self.target.partition(":")[2].split(".")
        for part in path:
            inner = getattr(owner, part)
            if isinstance(inner, ModuleType):
                inner = _private_copy(inner)
                setattr(owner, part, inner)
            owner = inner
        setattr(owner, name, _wrap(vars(owner)[name], self.replacement))


def plant(seams: Iterable[Seam]) -> None:
    """Plant each seam when its module is imported; none of the modules may have been imported before."""
    sys.meta_path.insert(0, _Finder(list(seams)))


class _Finder:
    """Import finder for the modules that have seams."""

    def __init__(self, seams: list[Seam]) -> None:
        self._seams = seams

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        seams = [seam for seam in self._seams if seam.module == name]
        spec = PathFinder.find_spec(name, path, target) if seams else None
        if spec is not None:
            assert isinstance(spec.loader, SourceFileLoader)
            spec.loader = _PlantingLoader(spec.loader, seams)
        return spec


class _PlantingLoader(SourceFileLoader):
    """Loader that plants the seams of a module right after executing it."""

    def __init__(self, loader: SourceFileLoader, seams: list[Seam]) -> None:
        super().__init__(loader.name, loader.path)
        self._seams = seams

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        for seam in self._seams:
            seam.plant(module)


def _wrap(original: Callable[..., Any], replacement: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return replacement(original, *args, **kwargs)

    return wrapper


def _private_copy(module: ModuleType) -> ModuleType:
    """Return a copy of a module, so that a replacement in it affects only one importing module."""
    copy = ModuleType(module.__name__)
    vars(copy).update(vars(module))
    return copy


def _declaration(parameter: inspect.Parameter) -> tuple[Any, ...]:
    return parameter.name, parameter.kind, parameter.default
