"""A batch file becomes submissions with row numbers."""
