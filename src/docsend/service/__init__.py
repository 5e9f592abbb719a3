"""Client side of the service's contract: calls, responses, the HTTP client below them, and retries."""
