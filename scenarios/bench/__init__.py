"""`make bench`: what the project promises in numbers, measured from outside through commands and APIs."""
