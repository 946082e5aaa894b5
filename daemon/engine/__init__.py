"""One host's engine: containers, images, networks and events, above the runtime and below the API."""
