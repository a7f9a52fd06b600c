"""FIXME comfy_nb/engine/cache."""
