"""Detection of document formats, and of defects in files whose format a destination accepts."""
