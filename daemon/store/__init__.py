"""What survives a crash: small documents by (kind, key), committed together or not at all."""
