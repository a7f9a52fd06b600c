"""What a node is: specs, socket types, and the ways to make a spec."""
