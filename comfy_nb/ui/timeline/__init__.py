"""A run over time.

Begin with `spans`: it turns a run's events into spans of time. `lines` arranges them, `svg` draws them, `trace` writes
them for a trace viewer, and `live` is what `run.timeline()` returns. Only `live` knows Jupyter.
"""
