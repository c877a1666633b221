"""What an agent says to others, and hears from them."""
