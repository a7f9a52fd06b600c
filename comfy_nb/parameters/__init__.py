"""FIXME comfy_nb/parameters."""
