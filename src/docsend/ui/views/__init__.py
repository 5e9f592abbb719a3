"""Views: the results of commands, each with its text for people and its JSON."""
