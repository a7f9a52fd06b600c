"""FIXME comfy_nb/engine/node_api."""
