"""What a person sees of a run and of a value; every view is made from one `Board`."""
