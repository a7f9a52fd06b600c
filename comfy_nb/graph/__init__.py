"""What a workflow is: graphs, handles, validation and file formats."""
