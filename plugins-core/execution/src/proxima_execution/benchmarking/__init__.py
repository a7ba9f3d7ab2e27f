"""Timing backends on suites of circuits, and what is made of the times."""
