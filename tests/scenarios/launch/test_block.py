"""Every swarm of the machine has addresses of its own, and gives them back however it ends."""

from __future__ import annotations

import socket
from itertools import pairwise

import pytest

from scenarios.launch import block
from scenarios.launch.errors import LaunchError


def test_no_two_claims_are_one_block() -> None:
    claims = [block.claim(3) for _ in range(12)]
    try:
        assert len({claim.where for claim in claims}) == 12
        with pytest.raises(LaunchError):
            block.claim(3, only=claims[0].where)
    finally:
        for claim in claims:
            claim.__exit__()


def test_a_block_is_free_when_its_last_holder_is_gone() -> None:
    with block.claim(3) as claim:
        copies = [held.dup() for held in claim.sockets]  # a daemon that inherited it
    with pytest.raises(LaunchError):
        block.claim(3, only=claim.where)
    for copy in copies:
        copy.close()
    with block.claim(3, only=claim.where) as again:
        assert again.where == claim.where


def test_a_block_with_a_stranger_in_it_is_passed_over() -> None:
    with block.claim(3) as claim:
        pass
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((block.real_address(claim.where, 3), 4789))
        with block.claim(3) as other:
            assert other.where != claim.where
        with pytest.raises(LaunchError, match=f"127.0.{claim.where}.3:4789"):
            block.claim(3, only=claim.where)


def test_ranges_of_ports_do_not_overlap_whatever_their_sizes() -> None:
    sizes = (3, 20, 1, 40)
    claims = [block.claim_ports(n) for n in sizes]
    try:
        spans = sorted((c.where, c.where + block.PORTS_PER_HOST * (n + 1)) for c, n in zip(claims, sizes, strict=True))
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    finally:
        for claim in claims:
            claim.__exit__()
