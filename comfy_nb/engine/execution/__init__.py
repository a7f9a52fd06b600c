"""FIXME comfy_nb/engine/execution."""
