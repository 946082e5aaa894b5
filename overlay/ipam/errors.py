"""What IPAM refuses, in Docker's words."""

from __future__ import annotations


class IpamError(Exception):
    """The text is libnetwork's."""


class InvalidPool(IpamError):
    """Not a subnet, or one that cannot be a pool."""


class PoolOverlap(IpamError):
    def __init__(self) -> None:
        super().__init__("Pool overlaps with other one on this address space")


class NoAvailablePool(IpamError):
    def __init__(self, version: int = 4) -> None:
        super().__init__(
            f"could not find an available, non-overlapping IPv{version} address pool among the defaults to assign to "
            "the network"
        )


class AddressInUse(IpamError):
    def __init__(self) -> None:
        super().__init__("Address already in use")


class NoAvailableAddresses(IpamError):
    """The engine says which network: "no available IPv4 addresses on this network's address pools: NAME (ID)"."""

    def __init__(self) -> None:
        super().__init__("no available addresses on this pool")


class NotInSubnet(IpamError):
    """The engine says which address did not fit when it checks before asking."""

    def __init__(self) -> None:
        super().__init__("Requested address is out of range")
