"""Another interpreter, made to give back what is free: the script it runs, and who sends it."""
