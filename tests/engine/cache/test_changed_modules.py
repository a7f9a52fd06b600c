"""What a module of the project holds is changed: whichever way code takes the module, that is noticed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import comfy_nb as nb


def test_a_module_that_code_hands_on_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "handed_on.py").write_text("K = 1\nZ = [1]\n")
    monkeypatch.syspath_prepend(tmp_path)
    import handed_on  # type: ignore[import-not-found]

    def items(module: Any) -> Any:
        return [*module.Z, module.K]

    table = [handed_on]

    @nb.node
    def passes_on() -> list:  # type: ignore[type-arg]
        return items(handed_on)  # type: ignore[no-any-return]

    @nb.node
    def looks_up() -> int:
        return getattr(handed_on, "K")  # type: ignore[no-any-return]  # noqa: B009

    @nb.node
    def keeps() -> int:
        return table[0].K  # type: ignore[no-any-return]

    for handed_on.K in (1, 2):
        handed_on.Z.append(handed_on.K)
        assert passes_on().run_sync() == items(handed_on)
        assert looks_up().run_sync() == keeps().run_sync() == handed_on.K


def test_a_relative_import_in_a_function_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "relative_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "other.py").write_text("Z = 1\n")
    (package / "sub.py").write_text(
        "def one():\n    from .other import Z\n    return Z\ndef two():\n    from . import other\n    return other.Z\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    from relative_package import other, sub  # type: ignore[import-not-found]

    @nb.node
    def reads_both() -> list:  # type: ignore[type-arg]
        return [sub.one(), sub.two()]

    for other.Z in (1, 2):
        assert reads_both().run_sync() == [other.Z, other.Z]


def test_a_module_is_read_whole_that_a_function_imports_for_the_code_around_it_or_for_a_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "imported_inside.py").write_text("K = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    import imported_inside  # type: ignore[import-not-found]

    @nb.node
    def for_a_class() -> int:
        class Own:
            import imported_inside as module

        return Own.module.K  # type: ignore[no-any-return]

    @nb.node
    def for_the_code_around() -> int:
        module: Any = None

        def load() -> None:
            nonlocal module
            import imported_inside as module

        load()
        return module.K  # type: ignore[no-any-return]

    for imported_inside.K in (1, 2):
        assert for_a_class().run_sync() == for_the_code_around().run_sync() == imported_inside.K
