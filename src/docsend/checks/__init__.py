"""Checks of documents and submissions against the institute's rules."""
