"""The fuzzer: requests that nobody thought of, made from a protocol's OpenAPI document, and what must hold of answers.

It knows a protocol by its document alone, and by a model in `models/` where there is one of that name.
"""
