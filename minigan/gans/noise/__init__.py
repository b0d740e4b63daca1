"""Models whose samples are made from noise."""
