"""Parsers that turn batch files (manifests) into submissions with row numbers."""
