"""Views of any value: its pictures, plots, numbers and text, read in bounded time."""
