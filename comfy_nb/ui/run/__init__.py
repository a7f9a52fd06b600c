"""Displays of a run.

A run's events go to one `monitor`, whose `model` folds them into a `snapshot`; every display is made from snapshots.
`display` decides when to draw and what stays of the runs of a cell: a screen (`panel` or `bars`) while they go on, then
`html`, or a line for quick ones. `terminal` and `text_view` do without a notebook page, and `pause_view` shows a
breakpoint.
"""
