"""Transports under trio: they carry frames between the network and the handlers of a service."""
