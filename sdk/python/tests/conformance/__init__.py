"""Runs the scenarios of `sdk/conformance/` against a real node with this SDK."""
