"""What faults swallow is told: a cut's messages are in the record as lost, in the diagram, and in the capture."""

from __future__ import annotations

from scenarios.language.reading import parse
from scenarios.report import pcapng
from scenarios.report.diagram import around, diagram
from scenarios.report.packets import capture
from scenarios.running.run import run_simulated

CUT = """
hosts: 3
networks: [ov1]
containers: {web: {on: h1, networks: ov1}, client: {on: h2, networks: ov1}}
load: [{ping: h2/client -> web, every: 500ms}]
steps:
  - wait: 2s
  - fault: {partition: "h1 / h2,h3", for: 3s}
  - wait: 3s
  - fault: {loss: 50%, from: h3, to: h2, traffic: gossip, for: 10s}
  - wait: 10s
"""


def test_messages_of_a_cut_are_lost_and_no_others() -> None:
    [source] = parse(CUT)
    record = run_simulated(source)
    assert record.passed, record.verdict.what
    cut, loss = [event for event in record.events if event.kind == "fault"]
    assert cut.until is not None and loss.until is not None

    def across(source: str, target: str) -> bool:
        return (source == "h1") != (target == "h1")

    during = [m for m in record.messages if cut.at < m.sent < cut.until]
    assert {m.kind for m in during if across(m.source, m.target)} == {"gossip", "vxlan"}
    assert [m for m in during if (m.received is None) != across(m.source, m.target)] == []
    later = [m for m in record.messages if loss.at < m.sent < loss.until and m.kind == "gossip"]
    lost = [m for m in later if m.received is None]
    assert lost and {(m.source, m.target) for m in lost} == {("h3", "h2")}
    assert any(m.received is not None for m in later if (m.source, m.target) == ("h3", "h2"))

    told = pcapng.decode(capture(record))
    notes = [p for p in told if isinstance(p, pcapng.EnhancedPacket) and p.options[0][0] == pcapng.COMMENT]
    assert len(notes) == sum(p.direction == "lost" for p in record.packets) > 0
    shown = sum(m.received is None for m in around(record, cut.until))
    assert diagram(record, cut.until, "healed", bad=True).count('class="msg lost"') == shown > 0
