"""FIXME comfy_nb/ui/run."""
