"""Results: what each shows to people, and its JSON."""
