"""Views of a graph: laid out, drawn live or as a still picture, edited in place, and followed while it runs."""
