"""The target `openapi`: a protocol as an OpenAPI document, one virtual path per method."""
