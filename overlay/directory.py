"""Stub being replaced."""
from overlay.spec import EndpointFact


class Directory:
    def put(self, fact: EndpointFact) -> None:
        """Add or replace the fact of that endpoint id."""
        raise NotImplementedError

    def remove(self, endpoint_id: str) -> None:
        """Forget it; nothing for an unknown id."""
        raise NotImplementedError
