"""A graph as a picture that lives: its nodes and links, their states, and values to change in place."""
