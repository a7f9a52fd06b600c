"""A sweep as a grid: live in a notebook, as HTML in a saved one, and as one picture."""
