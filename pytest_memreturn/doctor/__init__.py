"""What this machine can measure, and how finely: measured, not assumed."""
