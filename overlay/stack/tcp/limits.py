"""The numbers of TCP that are choices, with where they come from. Seconds and bytes."""

from __future__ import annotations

INITIAL_SEGMENTS = 10  # RFC 6928
LARGEST_PACKET = 65535  # what IP's total length can say
RECEIVE_BUFFER = 1 << 20  # in order and not read
EARLY_BYTES = 4 << 20  # behind a gap, beside that: what a loss holds back does not stop the sender
EARLY_PIECES = 4096
SEND_BUFFER = 1 << 20
SEND_BUFFER_MOST = 4 << 20  # Linux's tcp_wmem: as the window grows
WINDOW_SCALE = 7  # Linux's usual; enough for 8 MiB
DELAYED_ACK = 0.04  # Linux's TCP_DELACK_MIN
SACK_DELAY, SACK_SEGMENTS = 0.001, 44  # Linux's tcp_comp_sack_delay_ns and tcp_comp_sack_nr
SACK_RANGES = 3  # that fit beside timestamps
QUICK_ACKS = 16  # Linux acknowledges at once at the start, so that slow start is not slower still
TIME_WAIT = 60.0  # Linux's TCP_TIMEWAIT_LEN, instead of RFC 9293's 2 × 2 minutes
TIME_WAIT_CONNECTIONS = 4096
FIN_WAIT_2 = 60.0  # Linux's tcp_fin_timeout, for a connection that nobody reads any more
SYN_RETRIES = 6  # Linux's tcp_syn_retries, tcp_synack_retries, tcp_retries2, tcp_orphan_retries
SYN_ACK_RETRIES = 5
RETRIES = 15
BLACK_HOLE_RETRIES = 3  # Linux's tcp_retries1: timeouts in a row that speak against the path
ORPHAN_RETRIES = 8
HALF_OPEN = 256  # connections in SYN_RECEIVED a listener
TAIL_PROBE_ALLOWANCE = 0.05  # RFC 8985 7.2: the peer may delay the acknowledgement of a single segment
PAWS_IDLE = 24 * 86400.0  # RFC 7323 5.5
PACING_CREDIT = 0.002  # an event loop's timer is up to a millisecond late, and a busy one later
CHALLENGES_PER_SECOND = 1000  # RFC 5961 10; Linux's tcp_challenge_ack_limit


def fixed_headers(ip: bytes) -> int:
    """Bytes of the IP and the TCP header without options."""
    return 40 if len(ip) == 4 else 60


def default_mss(ip: bytes) -> int:
    """What a peer takes that did not say (RFC 9293 3.7.1)."""
    return 536 if len(ip) == 4 else 1220
