"""Defects put into the daemons' own code on purpose, to see that the search finds them."""
