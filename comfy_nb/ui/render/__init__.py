"""Text, thumbnails and labels made fit to be shown; nothing here knows Jupyter or a view."""
