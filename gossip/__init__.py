"""Members, failures and replicated tables. Knows nothing of networks or containers."""
