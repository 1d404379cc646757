"""The target `jsonschema`: one self-contained schema document per protocol and draft."""
