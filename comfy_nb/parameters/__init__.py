"""Changing a graph's constants: found by name, set from text, swept over grids, or followed as they are edited."""
