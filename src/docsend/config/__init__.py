"""Settings from options, the environment and config.toml."""
