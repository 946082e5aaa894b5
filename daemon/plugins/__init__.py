"""Third parties' network and IPAM drivers, by Docker's remote plug-in protocol."""
