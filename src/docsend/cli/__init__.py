"""The command-line interface: commands read their options, call the other packages and show the result."""
