"""What ``python -m pytest_memreturn`` can be asked for: a module for each command."""
