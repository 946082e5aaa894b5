"""A user-space TCP/IP stack without I/O: frames and the time go in, frames and the next deadline come out."""
