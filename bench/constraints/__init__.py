"""What checking constraints costs."""
