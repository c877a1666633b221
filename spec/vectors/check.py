"""Checks the vectors of this folder with an implementation of its own: nothing here is shared with the Rust code.

Needs Python 3.9 or later and the PyPI packages `cryptography` and `cbor2`. Run it from anywhere:

    python3 spec/vectors/check.py

It prints one line a file and ends with status 1 if anything differs. Written after the pages in `spec/`;
`wire.py` reads bytes, `words.py` texts.
"""

import json
import pathlib
import sys

import wire
import words

FOLDER = pathlib.Path(__file__).parent

CHECKS = {
    "addresses": words.addresses,
    "attributes": words.steering,
    "canonical": wire.canonical_bytes,
    "certificates": wire.certificates,
    "frames": wire.frames,
    "handshake": wire.handshake,
    "identities": wire.identities,
    "names": words.names,
    "performatives": words.performatives,
    "proofs": wire.proofs,
    "receipts": wire.receipts,
    "strict-json": words.strict_json,
    "times": words.times,
    "topics": words.topics,
}


def main():
    found = {path.stem for path in FOLDER.glob("*.json")}
    failed = found != set(CHECKS)
    if failed:
        print(f"files without a check, or checks without a file: {sorted(found ^ set(CHECKS))}")
    for name in sorted(found & set(CHECKS)):
        vectors = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        count = 0
        try:
            for _ in CHECKS[name](vectors):
                count += 1
            print(f"{name}: {count} agree")
        except Exception as error:  # a reader that fails in any way disagrees
            failed = True
            print(f"{name}: differs after {count}: {type(error).__name__}: {error}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
