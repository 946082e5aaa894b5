"""A run told by hand: a cut, a stale name, lost messages, and texts that are no markup."""

from __future__ import annotations

from scenarios.running.record import Event, HostRecord, Message, Packet, RunRecord, Series, Verdict

EVIL = "<script>alert('x')</script> & \x1b[31mred\x00"


def record() -> RunRecord:
    cut = Event(1.0, "fault", "partition h1 / h2", until=6.0, details={"settings": {"partition": [["h1"], ["h2"]]}})
    wrong = Event(2.0, "expectation", "unresolved h2/client -> web", "h2", until=4.0, ok=False, line=4)
    verdict = Verdict("failed", f"it resolves to {EVIL}", 4.0, "h2/client", 4, [cut, wrong])
    data = bytes([8, 0, 0, 0, 0, 16, 1, 0]) + bytes(range(60))
    frame = data.hex()
    return RunRecord(
        scenario="stale name/1", file="stale.yaml", text=f"hosts: 2\nsteps:\n  - note: {EVIL}\n  - expect: {{}}\n",
        mode="sim", seed=7, started=1_700_000_000.5, duration=10.0, took=0.5, story="A title.\nAnd\nwords.",
        variables={"count": 3},
        hosts=[HostRecord("h1", "192.0.2.1", [EVIL]), HostRecord("h2", "192.0.2.2")],
        verdict=verdict, failures=[verdict],
        events=[
            cut, wrong,
            Event(0.1, "expectation", "reachable h2/client -> web", "h2", until=0.2, ok=True, line=3),
            Event(0.0, "container", "container web: start", "h1"), Event(7.0, "container", "container web: die", "h1"),
            Event(0.0, "member", "sees h2 joined", "h1", details={"member": "h2", "state": "alive"}),
            Event(3.0, "member", "sees h2 suspected", "h1", details={"member": "h2", "state": "suspect"}),
            Event(5.0, "member", "sees h2 failed", "h1", details={"member": "h2", "state": "dead"}),
            Event(6.5, "member", "sees h2 recovered", "h1", details={"member": "h2", "state": "alive"}),
            Event(8.0, "fault", "kill h2", "h2", until=9.0, details={"settings": {"kill": ["h2"]}}),
        ],
        series=[Series("ping", "s", "h2", [(0.5, 0.0004), (1.5, None), (2.5, None), (6.5, 0.0005)])],
        messages=[
            Message(1, "h2", "h1", 0.15, 0.151, "vxlan", "VNI 4097 TCP"),
            Message(2, "h1", "h2", 3.9, None, "gossip", EVIL),
        ],
        packets=[
            Packet(0.15, "h2", "sent", "vxlan", "192.0.2.2:4789", "192.0.2.1:4789", frame),
            Packet(0.151, "h1", "received", "vxlan", "192.0.2.2:4789", "192.0.2.1:4789", frame),
            Packet(3.9, "h1", "lost", "gossip", "192.0.2.1:7946", "192.0.2.2:7946", "00ff00"),
        ],
    )  # fmt: skip
