"""Own nodes in files: `nb.export_nodes` writes what a notebook holds, and `--nodes` reads it."""
