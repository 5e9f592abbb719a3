"""The signed-in account, and the storage of secrets."""
