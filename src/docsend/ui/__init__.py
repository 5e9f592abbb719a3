"""Output for people and for scripts, and prompts."""
