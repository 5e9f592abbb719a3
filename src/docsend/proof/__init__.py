"""The proof of sending: its content, and its page as PDF."""
