"""The command line: `comfy-nb`, or `python -m comfy_nb`."""
