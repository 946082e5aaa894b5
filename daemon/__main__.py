"""`python -m daemon`: shoald without its console script."""

import sys

# structlog prepares to draw tracebacks with rich where that is installed; a daemon logs JSON, and saves 4 MB.
sys.modules["rich"] = None  # type: ignore[assignment]

from daemon.main import main  # noqa: E402

sys.exit(main())
