//! A domain's rules: given a message and its context, one of the five verdicts, and why.
