"""A run over time: its events as `spans`, arranged in `lines`, as an `svg` picture, a `trace`, and a `live` view."""
