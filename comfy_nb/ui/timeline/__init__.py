"""Who did what when in a run."""
