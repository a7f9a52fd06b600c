"""Everything that deals with Jupyter itself: outputs of cells, widgets, captured prints, the displays' clock."""
