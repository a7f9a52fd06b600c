"""FIXME comfy_nb/ui/jupyter."""
