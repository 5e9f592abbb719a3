"""Whether documents and submissions keep the rules."""
