"""FIXME comfy_nb/ui/render."""
