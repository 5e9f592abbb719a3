"""Views: the results of commands, each as text for people and as JSON."""
