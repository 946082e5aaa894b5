"""The model-based oracle: from what clients were told alone it computes what must be true, and asks the containers."""
