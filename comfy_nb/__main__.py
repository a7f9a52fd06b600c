"""What `python -m comfy_nb` runs: the command."""

from comfy_nb.cli.main import main

main(prog_name="comfy-nb")
