"""The functions of the package, and the wiring of runner, library and displays for the default session."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from comfy_nb.engine import presenter
from comfy_nb.engine.cache.disk import DiskCache
from comfy_nb.engine.execution.breakpoints import Breakpoint, slot_of
from comfy_nb.engine.execution.resources import close_all
from comfy_nb.engine.pool import Pool, make_pool
from comfy_nb.engine.presenter import Presenter
from comfy_nb.engine.session import default_session
from comfy_nb.errors import ComfyNBError
from comfy_nb.graph import runner
from comfy_nb.graph.default_registry import fill_default_registry
from comfy_nb.node_files.export import export_nodes as export_nodes
from comfy_nb.spec.reading import spec_of
from comfy_nb.spec.registry import Registry
from comfy_nb.ui.render.cache_table import CacheTable
from comfy_nb.ui.render.pool_table import PoolTable
from comfy_nb.wording import parse_size

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from comfy_nb.graph.handle import Handle
    from comfy_nb.graph.model import Graph
    from comfy_nb.graph.node import Node
    from comfy_nb.parameters.sweep import Sweep
    from comfy_nb.ui.doctor import Report
    from comfy_nb.ui.graph.view import GraphView
    from comfy_nb.ui.inspect.view import ValueView
    from comfy_nb.ui.interact.view import Controls


def _fill(registry: Registry) -> None:
    _notice_interrupts()
    from comfy_nb.library import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

    for class_type, cls in NODE_CLASS_MAPPINGS.items():  # unlike `register`, without reading what folders hold
        registry.register(spec_of(cls, class_type, NODE_DISPLAY_NAME_MAPPINGS.get(class_type, "")))


fill_default_registry(_fill)


def _notice_interrupts() -> None:
    """Notice interrupts of a notebook's cells from the first use on: the imports that it needs take a while."""
    if "IPython" in sys.modules:
        from comfy_nb.ui.jupyter.interrupted_cell import register

        register()


def _presenter() -> Presenter:
    """Return what shows the runs of a new session: in a notebook they show themselves."""
    if "IPython" in sys.modules:
        from comfy_nb.ui.jupyter.cells import shell

        if shell() is not None:
            _notice_interrupts()
            from comfy_nb.ui.notebook import NotebookPresenter

            return NotebookPresenter(_load_magics)
    from comfy_nb.ui.presenter import ScriptPresenter

    return ScriptPresenter()


def _load_magics() -> None:
    """Add `%comfy`, `%%node` and completion to a notebook that has begun to use us."""
    from comfy_nb.magics.extension import load
    from comfy_nb.ui.jupyter.cells import shell

    load(shell(), cache)


runner.install(default_session)
presenter.install(_presenter)

cache = CacheTable(lambda: (default_session().cache, default_session().disk), lambda: default_session().history)

pools = PoolTable(lambda: default_session().pools)


def pool(name: str, size: int | None = None, *, per_minute: int | None = None, shared: bool = False) -> Pool:
    """Make a pool of `size` places, or of so many calls `per_minute`, that holds across all runs and cells.

    Nodes use it by name, `@nb.node(uses="gpu")`, and other code by `async with nb.pool("gpu"):`, or `with` in a thread.
    `shared` makes it one for all kernels of this person on the machine. Called again, it changes what the pool allows;
    with the name alone it returns it. Raises UnknownName for a name alone that is none, GraphError for no such limits.
    """
    return make_pool(default_session().pools, name, size, per_minute, shared)


def interact(
    source: Graph | Handle,
    inputs: Mapping[str, Any] | None = None,
    /,
    *,
    output: Node | Handle | str | int | None = None,
    **controls: Any,
) -> Controls:
    """Return controls for the constants of a handle or graph, with the resulting value below; a change re-runs it.

    `radius=(0, 20)` is a slider (a third number is its step), a list is a choice, any other value is the initial one,
    and True or `...` takes what the node declares; with no names, every constant of the node gets a control. Where
    several nodes of a graph have such an input, write `{"3.radius": (0, 20)}`. `output` names the node to show where
    there are several. A copy is edited, and nothing is saved. Raises UnknownName, GraphError.
    """
    from comfy_nb.ui.interact.view import Controls

    return Controls(source, output, {**(inputs or {}), **controls})


def sweep(
    source: Graph | Handle,
    axes: Mapping[Any, Iterable[Any]] | None = None,
    /,
    *,
    output: Node | Handle | str | int | None = None,
    limit: int | None = None,
    timeout: float | None = None,
    priority: int | None = None,
    **named: Iterable[Any],
) -> Sweep:
    """Run a graph or handle for every combination of values and fill a grid with the results: `await nb.sweep(...)`.

    One to three constants get their values, `seed=range(4), cfg=[4, 7, 10]`: columns, rows, and pages. Where several
    nodes have such an input, or it has the name of an option, write a dict, `{"3.seed": range(4)}`; there a tuple of
    names takes tuples of values, which change together. Combinations share the results that they have in common, and up
    to four run at once. `output` names the node to show where there are several; nothing is saved. More than 256 cells
    need a `limit`. A combination that takes longer than `timeout` seconds fails, and the others go on.
    `priority` is that of its runs, as in `graph.run`. Raises UnknownName, GraphError.
    """
    from comfy_nb.ui.sweep.begin import begin

    given: Any = named if axes is None else {**axes, **named} if isinstance(axes, Mapping) else axes
    return begin(source, given, output, limit, timeout, priority)


def inspect(value: Any, other: Any = None) -> ValueView:
    """Return a view of any value: pictures, plots, numbers, words; `other` is one to compare it with.

    A mask with an image as `other` is drawn over the image. The value is never changed, and examined in bounded time.
    """
    from comfy_nb.ui.inspect.view import view_of

    return view_of(value, other)


def doctor() -> Report:
    """Look at what surrounds comfy_nb here: versions, the notebook, folders, the caches and torch's devices.

    What is wrong comes first, with what to do. Its text is made to be pasted into a report.
    """
    from comfy_nb.ui.doctor import doctor

    return doctor()


def draw(source: Any) -> GraphView:
    """Return a view of a graph, a handle or a file, even of one that cannot run; missing nodes are marked.

    Takes what `nb.load` takes, and also the workflows that ComfyUI's editor saves: these are drawn as they are, with
    groups, notes and reroutes. Raises PromptError where nothing can be drawn.
    """
    from comfy_nb.ui.graph.view import draw

    return draw(source)


def breakpoint(
    where: Handle | Node, when: Callable[[Any], Any] | None = None, *, slot: int | None = None
) -> Breakpoint:
    """Pause every run that reaches this value, show it, and continue with it or another value on request.

    `where` is a handle, or a node of a graph (`graph["3"]`) with its output `slot`. `when(value)` decides which values
    pause: `when=lambda image: image.isnan().any()`. Use it in a `with` block, or `remove()` it. Raises GraphError
    where there is no such output, and for a `when` that is not a plain function.
    """
    return default_session().breakpoints.add(where, slot_of(where, slot), when)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add the magics `%comfy` and `%%node` to IPython; `%load_ext comfy_nb` calls it."""
    from comfy_nb.magics.extension import load

    load(shell, cache)


def stop_all() -> int:
    """Stop every run of the session, including background jobs, and return how many there were.

    Every `nb.resource` is closed, as soon as its users have given it back.
    """
    stopped = default_session().stop_all()
    close_all()
    return stopped


def configure(
    *,
    base_dir: str | os.PathLike[str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    cache_budget: int | str | None = None,
    cache_policy: int | str | None = None,
    disk_budget: int | str | None = None,
    display: str | None = None,
    strict: bool | None = None,
    aging: float | None = None,
) -> None:
    """Set where files are, how much is cached and how runs are shown; settings that are not named stay as they are.

    `base_dir` contains `input/`, `output/` and `temp/`. `cache_dir` turns the disk cache on. Budgets are bytes, or text
    such as "2 GB". `cache_policy` is "memory", ComfyUI's "classic" or "none", or a number of results to keep.
    `display` is "panel", "bars", "text" or "none". With `strict` a node of yours fails that returns another layout than
    it declares, such as [B,C,H,W] for an `nb.Image`; else that is a warning, and is said in its row. Each `aging`
    seconds that nodes of low priority wait count as one level more, 1 at first; `math.inf` lets them wait for ever.
    Raises ComfyNBError for a `disk_budget` without a disk cache, ValueError for text that is not a size or an `aging`
    that is not above 0, and UnknownName for any other `cache_policy` or `display`.
    """
    session = default_session()
    disk_bytes = None if disk_budget is None else parse_size(disk_budget)
    if disk_bytes is not None and cache_dir is None and session.disk is None:
        raise ComfyNBError("disk_budget needs a cache_dir: without one, nothing is cached on disk.")
    if base_dir is not None:
        from comfy_nb.library.folders import set_default_folders

        set_default_folders(base_dir)
    if cache_budget is not None:
        cache.budget = cache_budget
    if cache_policy is not None:
        session.store.set_policy(cache_policy)
    if cache_dir is not None:
        if session.disk is not None:
            session.disk.close()
        session.disk = DiskCache(cache_dir)
    if disk_bytes is not None and session.disk is not None:
        session.disk.budget = disk_bytes
    if aging is not None:
        session.aging.set(aging)
    if strict is not None:
        session.is_strict = strict
    if display is not None:
        from comfy_nb.ui.show_run import choose_display

        choose_display(display)
