"""/etc/hosts and /etc/resolv.conf as recorded from a real engine's containers."""

from __future__ import annotations

from daemon.engine.etc_files import hosts_file, resolver_file


def test_hosts_with_an_added_host_and_the_own_address() -> None:
    assert hosts_file([("10.1.2.3", "db")], ["172.17.0.5"], "d24ce8b846da") == (
        "127.0.0.1\tlocalhost\n"
        "::1\tlocalhost ip6-localhost ip6-loopback\n"
        "fe00::0\tip6-localnet\n"
        "ff00::0\tip6-mcastprefix\n"
        "ff02::1\tip6-allnodes\n"
        "ff02::2\tip6-allrouters\n"
        "10.1.2.3\tdb\n"
        "172.17.0.5\td24ce8b846da\n"
    )


def test_a_hostname_with_a_domain_has_its_short_form_beside_it() -> None:
    assert hosts_file([], ["172.17.0.4"], "web.example").splitlines()[-1] == "172.17.0.4\tweb.example web"


def test_resolv_conf_on_the_default_bridge_and_on_a_network_with_names() -> None:
    plain = resolver_file(host_servers=["192.0.2.254"], dns=[], search=[], options=[], embedded=False)
    assert plain == "nameserver 192.0.2.254\n"
    chosen = resolver_file(
        host_servers=["192.0.2.254"], dns=["9.9.9.9"], search=["corp.example"], options=["ndots:2"], embedded=False
    )
    assert chosen == "search corp.example\nnameserver 9.9.9.9\noptions ndots:2\n"
    named = resolver_file(host_servers=["192.0.2.254"], dns=["9.9.9.9"], search=[], options=[], embedded=True)
    assert named == "nameserver 127.0.0.11\noptions ndots:0\n"
