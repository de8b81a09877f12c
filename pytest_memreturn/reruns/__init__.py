"""Running a test again in fresh interpreters: to name lines, and to try remedies."""
