"""Who is signed in, and where the secrets are kept."""
