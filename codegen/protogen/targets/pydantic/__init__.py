"""The target `pydantic`: models through datamodel-code-generator."""
