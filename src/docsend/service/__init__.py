"""Client side of the service's contract: calls, responses, retries, and the HTTP client they use."""
