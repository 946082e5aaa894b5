"""sh: a POSIX shell with busybox ash's texts. Parse (`parser`), expand (`expand`), run (`interpreter`)."""
