"""FIXME comfy_nb/ui/sweep."""
