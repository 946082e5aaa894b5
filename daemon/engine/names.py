"""Names for containers that were given none: an adjective and somebody known for networks, computers or the sea.

The form is Docker's (adjective_surname, a digit when taken); the words are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

_ADJECTIVES = [
    "agile", "amber", "ardent", "balmy", "blithe", "bold", "bonny", "brave", "breezy", "bright", "brisk", "calm",
    "candid", "cheery", "civil", "clever", "cosmic", "cozy", "crisp", "curious", "daring", "dapper", "deft",
    "devoted", "eager", "earnest", "easy", "elated", "epic", "fabled", "fair", "famous", "fearless", "festive",
    "fluent", "focused", "frank", "friendly", "gallant", "gentle", "genuine", "gifted", "glad", "gleaming",
    "golden", "graceful", "grand", "happy", "hardy", "hearty", "honest", "hopeful", "humble", "ideal", "jolly",
    "jovial", "joyful", "keen", "kind", "lively", "loyal", "lucid", "lucky", "mellow", "merry", "mighty", "modest",
    "musing", "neat", "nifty", "nimble", "noble", "patient", "peaceful", "plucky", "polite", "prompt", "proud",
    "quick", "quiet", "quirky", "radiant", "ready", "serene", "sharp", "shiny", "silent", "sincere", "sleek",
    "smart", "snug", "solid", "spirited", "steady", "stellar", "stoic", "sunny", "swift", "tender", "thrifty",
    "tidy", "tranquil", "trusty", "upbeat", "vibrant", "vigilant", "vivid", "warm", "wise", "witty", "wry",
    "youthful", "zealous", "zen",
]  # fmt: skip
_SURNAMES = [
    "abramson", "baran", "bernerslee", "boggs", "boole", "brin", "carson", "cerf", "clark", "cocke", "codd",
    "cousteau", "crocker", "davies", "deering", "dijkstra", "diffie", "earle", "engelbart", "erdos", "euler",
    "faraday", "feinler", "fermat", "gauss", "goldberg", "hamming", "hamilton", "hellman", "hertz", "hoare",
    "holberton", "hopper", "jacobson", "kahn", "karels", "karn", "keller", "kleinrock", "knuth", "lamport",
    "leiner", "liskov", "lovelace", "marconi", "maxwell", "mccarthy", "mcnulty", "metcalfe", "mills", "mockapetris",
    "morse", "nagle", "noether", "nyquist", "perlman", "poincare", "postel", "ritchie", "roberts", "shannon",
    "shamir", "stearns", "steitz", "taylor", "tesla", "thompson", "tomlinson", "torvalds", "turing", "ullman",
    "wiener", "wilkes", "wing", "yalow",
]  # fmt: skip


def random_name(random: Random, taken: Callable[[str], bool]) -> str:
    """A name that `taken` says is free."""
    attempt = 0
    while True:
        name = f"{random.choice(_ADJECTIVES)}_{random.choice(_SURNAMES)}"
        if attempt:
            name += str(random.randrange(10**attempt))
        if not taken(name):
            return name
        attempt = min(attempt + 1, 9)
