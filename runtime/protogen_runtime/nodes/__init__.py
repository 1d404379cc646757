"""Nodes: the reference servers, put together from their protocol, a store, and the server shell.

Each module here is what `protogen serve NAME` runs; nothing else imports one.
"""
