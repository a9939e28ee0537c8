"""Measurements: `./dev bench`, or `python -m bench`. Never part of the tests.

`python -m bench --help` lists what is measured, one module each; `measure.py` has what they share,
`machine.py` describes where it was measured, `results/` keeps what was found.
"""
