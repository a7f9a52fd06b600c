"""What `python -m comfy_nb.cli` runs."""

from comfy_nb.cli.main import main

main(prog_name="comfy-nb")
