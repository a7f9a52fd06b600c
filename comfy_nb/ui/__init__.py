"""Everything a person sees in a notebook or terminal. Each part may import the parts before it only:

render     text, thumbnails and labels made fit to be shown
jupyter    outputs of cells, widgets, captured prints
inspect    the view of a value
run        the displays of a run
timeline   a run over time
graph      the view of a graph, live while it runs
sweep      the grid of a sweep
interact   controls for a graph's constants
show_run   which display a run gets, and where
run_rows   the view of a run that `run.panel` is
presenter  makes every view that is asked for
notebook   makes runs and values show themselves
"""
