"""Texts: ids, addresses, topics, names of definitions, acts, times."""
