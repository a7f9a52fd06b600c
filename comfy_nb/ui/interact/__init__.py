"""FIXME comfy_nb/ui/interact."""
