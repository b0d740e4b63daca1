"""What several models share: networks and penalties, never a loop."""
