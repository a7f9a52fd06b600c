"""The tensor view: what a value is, as pictures, plots, numbers and words."""
