"""What is known of the rules of docs/state.md, and how: gathered by running it, and written on one page."""
