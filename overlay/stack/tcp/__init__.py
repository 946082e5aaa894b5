"""TCP (RFC 9293, with 5681, 6298, 7323, 2018, 8985): one module per idea, the automaton in connection and arrives."""
