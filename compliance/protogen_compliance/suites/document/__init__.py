"""The suite that judges by a protocol document of the user's own."""
