"""The wounds that users of Docker's overlay have reported for ten years, staged: on a model of Docker, on real engines,
on shoal."""
