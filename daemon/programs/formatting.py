"""printf."""

from __future__ import annotations

import re

from daemon.programs.basic import unescape
from daemon.programs.options import applet
from daemon.runtime.context import ProcessContext

CONVERSION = re.compile(r"%([-+ #0]*)(\*|\d+)?(?:\.(\*|\d+)?)?(?:hh|h|ll|l|L|z|j|t)?([a-zA-Z%])")


async def printf(p: ProcessContext) -> int:
    """printf FORMAT [ARG]..."""
    words = p.argv[1:]
    if words[:1] == ["--"]:
        words = words[1:]
    if not words:
        await p.error(f"{applet(p)}: usage: printf FORMAT [ARGUMENT...]")
        return 2
    template, cut = unescape(words[0], zero_prefixed=False)
    job = _Printf(words[1:])
    while True:
        before = len(job.arguments)
        text = job.once(template)
        await p.print(text, end="")
        for problem in job.problems:
            await p.error(f"{applet(p)}: {problem}")
        job.problems.clear()
        if cut or job.stopped or not job.arguments or len(job.arguments) == before:
            return job.status


class _Printf:
    def __init__(self, arguments: list[str]) -> None:
        self.arguments = arguments
        self.problems: list[str] = []
        self.status = 0
        self.stopped = False

    def once(self, template: str) -> str:
        out: list[str] = []
        at = 0
        for match in CONVERSION.finditer(template):
            out.append(template[at : match.start()])
            at = match.end()
            out.append(self._convert(match))
            if self.stopped:
                return "".join(out)
        out.append(template[at:])
        return "".join(out)

    def _next(self) -> str:
        return self.arguments.pop(0) if self.arguments else ""

    def _integer(self, text: str) -> int:
        if text[:1] in ("'", '"'):
            return ord(text[1]) if len(text) > 1 else 0
        if not text:
            return 0
        match = re.match(r"\s*([-+]?)(0[xX][0-9a-fA-F]+|\d+)", text)
        if match is None or match.end() != len(text):
            self.problems.append(f"invalid number '{text}'")
            self.status = 1
            if match is None:
                return 0
        digits = match.group(2)
        base = 16 if digits[:2] in ("0x", "0X") else 8 if len(digits) > 1 and digits[0] == "0" else 10
        try:
            value = int(digits, base)
        except ValueError:
            value = 0
        return -value if match.group(1) == "-" else value

    def _convert(self, match: re.Match[str]) -> str:
        flags, width, precision, kind = match.groups()
        if kind == "%":
            return "%"
        width = str(self._integer(self._next())) if width == "*" else width or ""
        has_precision = "." in match.group(0)
        precision = (
            str(self._integer(self._next())) if precision == "*" else precision or ("0" if has_precision else "")
        )
        spec = f"%{flags}{width}{'.' + precision if has_precision else ''}"
        if kind in "sb":
            text = self._next()
            if kind == "b":
                text, self.stopped = unescape(text, zero_prefixed=True)
            return (spec + "s") % text
        if kind == "c":
            return f"%{flags}{width}s" % self._next()[:1]
        if kind in "di":
            return (spec + "d") % self._integer(self._next())
        if kind in "uoxX":
            value = self._integer(self._next())
            if kind == "o" and "#" in flags:
                return f"%{flags.replace('#', '')}{width}s" % f"0{value:o}"
            return (spec + ("d" if kind == "u" else kind)) % (value & (1 << 64) - 1 if value < 0 else value)
        if kind in "eEfFgG":
            text = self._next()
            try:
                number = float(text or 0)
            except ValueError:
                self.problems.append(f"invalid number '{text}'")
                self.status = 1
                number = 0.0
            return (spec + kind) % number
        self.problems.append(f"%{kind}: invalid format")
        self.status = 1
        self.stopped = True
        return ""
