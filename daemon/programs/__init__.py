"""The programs of the simulated runtime's images: one module per tool or small family, each written
against `daemon.runtime.process.ProcessContext`; `catalogue` says which names exist in which image."""
