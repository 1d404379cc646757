"""How many durable operations a second the store does, beside a thread call for each of them."""
