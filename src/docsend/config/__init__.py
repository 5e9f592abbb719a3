"""What the settings are, and where they come from."""
