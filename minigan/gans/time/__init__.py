"""Models of what goes on in time, and of words."""
