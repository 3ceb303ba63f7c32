"""Networks in files: how one is written whole, what describes it, and the format."""
