"""Node specs, socket types, and the ways to make a spec."""
