"""`nb.interact`: controls for a graph's constants, and below them the value that follows.

Begin with `view`, the widgets; `controls` chooses the control of each constant. How the value follows the edits is in
`comfy_nb.parameters.live_value`, how it is shown in `comfy_nb.ui.inspect`.
"""
