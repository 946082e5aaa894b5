"""Which programs exist, by the name they have in an image."""
