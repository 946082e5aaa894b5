"""Constants of SWIM and Lifeguard, named after the papers' terms, and the configuration of one node.

A profile is data: the protocol modules read their times from it and have no numbers of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gossip.swim.member import Address


@dataclass(frozen=True, slots=True)
class Profile:
    """Times in seconds. memberlist's names are given where ours differ."""

    probe_interval: float
    """SWIM's protocol period T' (Das et al. 2002, 4.1)."""
    probe_timeout: float
    """Time for the direct ack, before members are asked for indirect probes; also a relay's time before its nack."""
    probe_deadline: float
    """From the ping to the verdict, indirect probes included; memberlist waits for the whole ``probe_interval``."""
    ring_probes: bool
    """Every other period goes to the successor in the ring of names (ours; SWIM has round-robin only)."""
    rest_every: int
    """With the ring: of so many turns of the round-robin one is left out (ours, against idle traffic; 0: none)."""
    indirect_probes: int
    """SWIM's k, the size of the failure detection subgroup."""
    gossip_interval: float
    gossip_nodes: int
    gossip_to_the_dead: float
    """How long the dead are still gossiped to, so that one wrongly accused can refute."""
    heard_counts: bool
    """Ours: whose turn it is to be probed is left out if a packet of his came within the last period."""
    push_pull_interval: float
    digest_interval: float
    """Ours: how often a random member of our kind is told a digest of all that push/pull exchanges; it does so at once
    if its own differs (0: never)."""
    reconnect_interval: float
    """How often one dead member or seed is tried by push/pull, so that partitions heal."""
    exchange_on_return: bool
    """Whether a dead member that lives again is asked for its whole state at once (memberlist: at its next turn)."""
    merge_first: bool
    """Ours: a push/pull is merged before it is answered, so that the answer has the refutation of what the other
    believed (memberlist answers first)."""
    retransmit_mult: int
    """Lambda of SWIM 4.1: a broadcast goes out ``mult * ceil(log10(n + 1))`` times."""
    each_once_first: bool
    """A broadcast goes to everybody once before it goes to anybody twice (ours; memberlist leaves it to chance)."""
    suspicion_mult: float
    """Lifeguard's alpha: the shortest suspicion is ``alpha * log(n) * probe_interval``."""
    confirmations: int
    """Lifeguard's K: independent confirmations that bring a suspicion down to its shortest (memberlist: alpha - 2)."""
    suspicion_log: float
    """Base of the logarithm of n that lengthens a suspicion in a large cluster, as a refutation takes longer to come
    (memberlist: 10). Where news is passed on at once it grows by hops of milliseconds, not by gossip intervals."""
    suspicion_max_mult: int
    """Lifeguard's beta: longest suspicion as a multiple of the shortest."""
    audible_confirmations: bool
    """Ours: no more confirmations are waited for than members were heard since the suspicion began."""
    own_echo: bool
    """Ours: nobody is accused or condemned before this node has heard its own echo (``ears``)."""
    time_to_refute: float
    """Ours: a confirmation that comes late, or another's word that somebody is dead, ends a suspicion no sooner than
    this (0: at once, as memberlist), so that the accused may still speak."""
    refused_timeout: float
    """Length of a suspicion whose subject's port refused a connection (evidence that the process is gone)."""
    lha_probe: bool
    """Lifeguard IV-A, on or off: probes scaled by the local health multiplier, and the nacks that inform it."""
    lha_suspicion: bool
    """Lifeguard IV-B, on or off: suspicions begin long and shorten with confirmations. Off: SWIM's fixed timeout."""
    buddy_system: bool
    """Lifeguard IV-C, on or off: whoever is accused hears of it with the next ping or ack."""
    silence_is_slowness: bool
    """Whether a nack that stays away speaks against our own health (memberlist), or only one that comes late."""
    awareness_max: int
    """Lifeguard's S: the local health multiplier lies in 0..S-1."""
    stall: float
    """A timer served later than this is no evidence of anybody's failure but one's own."""
    watch_streams: int
    """Idle streams held to this many successors: their end is a reason to probe at once (0: none)."""
    buddy_probes: int
    """About how many members probe a newly suspected one at once, to confirm or clear the suspicion."""
    prompt_rate: float
    """Token bucket of gossip sent at once: packets per second ..."""
    prompt_burst: int
    """... and how many in a burst."""
    evidence_rate: float
    """Token bucket of probes out of turn: per second ..."""
    evidence_burst: int
    """... and how many in a burst."""
    name_reclaim: float | None
    """A dead member's name may come back under another address after this time (None: never); sooner it is a name
    conflict. One that left may come back anywhere at once."""
    forget_after: float
    """Dead and left members are dropped from memory after this time (seeds are always tried)."""


LAN = Profile(
    probe_interval=1.0,
    probe_timeout=0.5,
    probe_deadline=1.0,
    ring_probes=False,
    rest_every=0,
    indirect_probes=3,
    gossip_interval=0.2,
    gossip_nodes=3,
    gossip_to_the_dead=30.0,
    heard_counts=False,
    push_pull_interval=30.0,
    digest_interval=0.0,
    reconnect_interval=30.0,
    exchange_on_return=True,
    merge_first=True,
    retransmit_mult=4,
    each_once_first=False,
    suspicion_mult=4,
    confirmations=2,
    suspicion_log=10,
    suspicion_max_mult=6,
    audible_confirmations=False,
    own_echo=False,
    time_to_refute=0.0,
    refused_timeout=4.0,
    lha_probe=True,
    lha_suspicion=True,
    buddy_system=True,
    silence_is_slowness=True,
    awareness_max=8,
    stall=0.5,
    watch_streams=0,
    buddy_probes=0,
    prompt_rate=0.0,
    prompt_burst=0,
    evidence_rate=0.0,
    evidence_burst=0,
    name_reclaim=None,
    forget_after=86400.0,
)
"""memberlist's DefaultLANConfig, for comparison."""

SHOAL = Profile(
    probe_interval=1.0,
    probe_timeout=0.3,
    probe_deadline=0.8,
    ring_probes=True,
    rest_every=3,
    indirect_probes=3,
    gossip_interval=0.2,
    gossip_nodes=3,
    gossip_to_the_dead=30.0,
    heard_counts=True,
    push_pull_interval=120.0,
    digest_interval=10.0,
    reconnect_interval=1.0,
    exchange_on_return=True,
    merge_first=True,
    retransmit_mult=4,
    each_once_first=True,
    suspicion_mult=3.2,
    confirmations=2,
    suspicion_log=16,
    suspicion_max_mult=6,
    audible_confirmations=True,
    own_echo=True,
    time_to_refute=0.8,
    refused_timeout=1.0,
    lha_probe=True,
    lha_suspicion=True,
    buddy_system=True,
    silence_is_slowness=False,
    awareness_max=8,
    stall=0.3,
    watch_streams=2,
    buddy_probes=6,
    prompt_rate=200.0,
    prompt_burst=200,
    evidence_rate=8.0,
    evidence_burst=16,
    name_reclaim=1.0,
    forget_after=86400.0,
)
"""Ours: silent failures known within 6 s at N = 3, killed processes within 2 s, 3 s of pause never fatal."""


@dataclass(frozen=True, slots=True)
class Config:
    """One node's membership."""

    name: str
    address: str
    port: int = 7946
    keys: tuple[bytes, ...] = ()
    """Gossip keys (16, 24 or 32 bytes), the first one seals; empty: nothing is encrypted."""
    label: bytes = b""
    """The cluster id: prefix and additional data of every packet and stream (at most 255 bytes)."""
    seeds: tuple[Address, ...] = ()
    """Always tried again while they are not live members."""
    networks: tuple[str, ...] = ()
    """Where members may be, as ``10.0.0.0/8`` (memberlist's CIDRsAllowed); empty: anywhere."""
    compress: bool = False
    """Compress streams (never packets: they are short). What others compressed is always read."""
    profile: Profile = field(default=SHOAL)
