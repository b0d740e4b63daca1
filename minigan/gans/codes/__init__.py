"""Models that encode what they see, and decode what they make."""
