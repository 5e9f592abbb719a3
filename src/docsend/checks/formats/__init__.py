"""The formats of documents: which one it is, and whether it is whole; a module a format."""
