"""Published ports: which are free, the proxies behind them, and the real sockets in front."""
