"""FIXME comfy_nb/engine/planning."""
