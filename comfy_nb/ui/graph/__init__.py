"""Views of a graph: laid out, drawn live or as a still picture, edited in place, and followed while it runs.

Begin with `view`. A graph or workflow file becomes a `scene` (`from_graph`, `from_workflow`), laid out by `layout`.
`live` draws it in a widget, follows runs (`states`) and makes a person's edits (`edit`); `html` is the still picture
for the saved notebook. Scene, layout, states, edits and HTML do no I/O and know no widget.
"""
