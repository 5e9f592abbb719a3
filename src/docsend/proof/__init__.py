"""The proof of sending: its content, and its PDF."""
