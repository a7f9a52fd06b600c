"""`nb.interact`: controls for a graph's constants, and below them the value that follows."""
