"""`python -m daemon`: shoald without its console script, and without what its libraries prepare for others."""

import os
import sys

# structlog prepares to draw tracebacks with rich where that is installed; a daemon logs JSON, and saves 4 MB.
sys.modules["rich"] = None  # type: ignore[assignment]
# aiohttp's client reads the machine's certificates when it is imported; daemons trust their own swarm's only.
for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
    os.environ.setdefault(variable, os.devnull)

from daemon.main import main  # noqa: E402

sys.exit(main())
