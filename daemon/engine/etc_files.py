"""/etc/hosts and /etc/resolv.conf of a container, byte for byte as libnetwork writes them."""

from __future__ import annotations

from collections.abc import Sequence

_HOSTS = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::0\tip6-localnet\n"
    "ff00::0\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n"
)
EMBEDDED_DNS = "127.0.0.11"


def hosts_file(
    extra: Sequence[tuple[str, str]], addresses: Sequence[str], hostname: str, domainname: str = ""
) -> str:
    """`extra`: (address, names) of --add-host and links, in order; `addresses`: the container's own, in order."""
    lines = [f"{address}\t{names}\n" for address, names in extra]
    if domainname:
        own = f"{hostname}.{domainname} {hostname}"
    elif "." in hostname:
        own = f"{hostname} {hostname.partition('.')[0]}"
    else:
        own = hostname
    lines += [f"{address}\t{own}\n" for address in addresses]
    return _HOSTS + "".join(lines)


def resolver_file(
    *, host_servers: Sequence[str], dns: Sequence[str], search: Sequence[str], options: Sequence[str], embedded: bool
) -> str:
    """`embedded`: on a user-defined network names are asked of 127.0.0.11, which asks `dns` or `host_servers` itself.

    `dns`, `search`, `options` are --dns, --dns-search ("." alone: none) and --dns-opt.
    """
    lines = []
    if search and list(search) != ["."]:
        lines.append(f"search {' '.join(search)}\n")
    servers = [EMBEDDED_DNS] if embedded else (dns or host_servers)
    lines += [f"nameserver {server}\n" for server in servers]
    options = list(options)
    if embedded and not any(option.startswith("ndots:") for option in options):
        options.append("ndots:0")
    if options:
        lines.append(f"options {' '.join(options)}\n")
    return "".join(lines)
