"""The ways in: HTTP, the command line and the worker, over one container."""
