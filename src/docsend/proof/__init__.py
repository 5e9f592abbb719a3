"""A proof of sending: what it says, and its page."""
