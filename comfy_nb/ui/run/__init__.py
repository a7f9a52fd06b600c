"""Displays of a run.

A run's events go to one `monitor`, whose `model` folds them into a `snapshot`; every display is made from snapshots.
`display` decides when to draw and what stays: a screen (`panel` or `bars`) while the run goes on, `html` at its end,
a `summary_line` for quick runs. `terminal` and `text_view` do without a notebook page, and `pause_view` shows a
breakpoint.
"""
