"""Changing a graph's constants: found by name, set from text, swept over grids, or followed as they are edited.

Begin with `parameter`: the constants of a graph by name. `edits` sets them from text (`3.seed=7`), `sweep` runs a graph
for every cell of a `grid`, and `live_value` keeps the value of a `shown_output` up to date with its graph.
Nothing here displays anything; `comfy_nb.ui` shows sweeps and values that follow.
"""
