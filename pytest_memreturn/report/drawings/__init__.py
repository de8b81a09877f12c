"""Geometry of drawings in reports: figures in, positions in percent of the room out; pure."""
