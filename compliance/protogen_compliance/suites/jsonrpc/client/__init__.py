"""The suite for clients: the kit serves, well or badly, and judges what the client makes of it."""
