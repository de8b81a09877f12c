"""A test in a fresh interpreter: started as this run was, tied to it, ended with all it started."""
