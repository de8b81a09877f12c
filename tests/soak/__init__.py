"""A long run of judged tests whose verdicts are known: `python -m soak` in the folder above."""
