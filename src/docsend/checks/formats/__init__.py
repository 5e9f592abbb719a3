"""Detection of document formats, and a check for defects for each format that a destination accepts."""
