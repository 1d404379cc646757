"""protogen's compliance kit: suites that judge an implementation of a protocol from outside, clause by clause.

It shares no code with what it judges: neither the runtime nor anything generated.
"""
