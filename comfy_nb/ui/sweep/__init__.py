"""A sweep as a grid: live in a notebook, as HTML in a saved one, and as one picture.

Begin with `live`, the widget; `html` is what the saved notebook keeps, `image` the picture, and `cell_contents` what a
cell of either shows. The sweep itself, its grid and its runs, is in `comfy_nb.parameters`.
"""
