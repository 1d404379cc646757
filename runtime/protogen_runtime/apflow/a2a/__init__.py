"""The node as an agent of A2A, versions 1.0 and 0.3: messages become flows, and flows are told as A2A's tasks.

The types of 1.0 are the ones thought in; 0.3 is a way to write them (`v03`).
"""
