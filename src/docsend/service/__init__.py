"""The service, seen from the client: its calls, its responses, the HTTP client under them, and retries."""
