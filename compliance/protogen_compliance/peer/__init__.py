"""The raw peer: the other side of a wire, which can send any bytes and keeps every byte with its time.

Plain sockets and threads. Every wait has a deadline, so that no peer can hang it.
"""
