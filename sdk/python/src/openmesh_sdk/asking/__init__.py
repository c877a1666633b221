"""What an agent asks of its node besides carrying messages."""
