"""What `import comfy_nb` puts together: the runner, the library, and the settings of the default session."""

from __future__ import annotations

import os
import sys

from comfy_nb.engine import views
from comfy_nb.engine.cache_view import CacheView
from comfy_nb.engine.disk import DiskCache
from comfy_nb.engine.session import Session, default_session
from comfy_nb.engine.sizes import parse_size
from comfy_nb.engine.views import Views
from comfy_nb.errors import ComfyNBError
from comfy_nb.graph import runner
from comfy_nb.graph.namespace import fill_default_registry, register
from comfy_nb.spec.registry import Registry


def _fill(registry: Registry) -> None:
    from comfy_nb.library import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

    register(NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS, registry)


fill_default_registry(_fill)


def _runner() -> Session:
    """The session that runs graphs; in a notebook its runs show themselves."""
    session = default_session()
    if not session.is_shown and "IPython" in sys.modules:
        session.is_shown = True
        from comfy_nb.ui.notebook import enable

        enable(session)
    return session


def _views() -> Views:
    from comfy_nb.ui import run_views

    return run_views


runner.install(_runner)
views.install(_views)

cache = CacheView(lambda: (default_session().cache, default_session().disk))


def stop_all() -> int:
    """Stop every run of the session, background jobs too; return how many there were."""
    return default_session().stop_all()


def configure(
    *,
    base_dir: str | os.PathLike[str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    cache_budget: int | str | None = None,
    cache_policy: int | str | None = None,
    disk_budget: int | str | None = None,
    display: str | None = None,
) -> None:
    """Set where files lie and how much is kept; what is not named stays as it is.

    `base_dir` holds `input/`, `output/` and `temp/`. `cache_dir` switches the disk tier on. Budgets are bytes, or text
    such as "2 GB". `cache_policy` is "memory", ComfyUI's "classic" and "none", or a number of results to keep.
    `display` is "panel", "bars", "text" or "none". Raises ComfyNBError for a `disk_budget` without a disk tier,
    ValueError for a text that is no size, UnknownName for another `display`.
    """
    session = default_session()
    disk_bytes = None if disk_budget is None else parse_size(disk_budget)
    if disk_bytes is not None and cache_dir is None and session.disk is None:
        raise ComfyNBError("disk_budget needs a cache_dir: without one nothing is kept on disk.")
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
    if display is not None:
        from comfy_nb.ui.notebook import choose_view

        choose_view(display)
