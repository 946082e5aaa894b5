"""What people and machines read of a run: one HTML page, JUnit XML, JSON, and the packets as pcapng."""
