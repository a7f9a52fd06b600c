"""Text, thumbnails and labels made fit to be shown.

Each file stands for itself: `thumbnails` of values and files, `labels` that distinguish nodes of one name, `tracebacks`
of failed nodes, printed `text`, and the `style` that all HTML shares. Nothing here knows Jupyter or a particular view.
"""
