"""Everything that deals with Jupyter itself.

Begin with `widget`, the base of all widgets, and `cell_output`, outputs that stay with their cell. `live_html` makes
views that leave plain HTML in the saved notebook; `capture` and `tqdm_progress` take what nodes print; `ticker` is the
displays' clock, `stop_button` their Stop button. Nothing here knows a particular view of a run, graph or value.
"""
