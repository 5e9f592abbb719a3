"""Parsing of batch files (manifests) into submissions with row numbers."""
