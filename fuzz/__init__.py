"""A fuzz target for each parser, a corpus for each target, and what drives them.

A target is a module in `fuzz/targets` with one function, `fuzz_one(data: bytes) -> None`. It reads any bytes at all,
gives them to its parser, and lets nothing out but AssertionError, for an invariant that does not hold: the errors that
the parser documents are caught, every other exception is a finding. Beyond "does not crash" a target checks what must
hold whatever the bytes are:

- engines: the same outcome whole, in pieces and byte by byte; buffers within the limits; at most one answer for a
  request; after `connection_lost` nothing open and nothing to send;
- codecs: what was accepted is the same again after encoding and decoding, and Google's runtime, `json` or
  `json_format` read the same from the same bytes, or refuse them too;
- texts: the answer is in the range that its documentation gives.

`fuzz/corpora/<target>` holds the inputs to begin with: `python -m fuzz.seeds` makes them of the byte tables of the
tests. What a run finds goes there too once it is mended, as `found-<what>`.

Two ways to run them:

- `make test` gives each target its corpus and some hundred mutations with a fixed seed (`tests/project/test_fuzz.py`).
- `make fuzz` gives each target ten minutes of atheris (libFuzzer), led by the coverage of the Python and of the
  compiled parts. FUZZ_SECONDS=60 for less, FUZZ_TARGET=http1 for one, FUZZ_JOBS=2 for several at once, SANITIZE=1 for
  AddressSanitizer and UndefinedBehaviorSanitizer in the compiled parts (needs clang). New inputs are kept in
  `build/fuzz/corpora`; what fails is written to `build/fuzz/findings`, and runs again with

      make fuzz FUZZ_TARGET=http1 ARGS=build/fuzz/findings/http1-crash-…
"""
